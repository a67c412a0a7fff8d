/* 64-bit code for a 32-bit file: see repacked.test.ts. */
volatile int sink;

int leaf(int a)
{
    volatile int local = a * 2;
    sink = local;
    return local;
}

void _start(void)
{
    int x = leaf(21);
    for (;;)
        sink = x;
}

/* Functions whose frames look different: see prologue.test.ts. Values live across calls, so that registers must be saved. */
volatile int sink;
volatile int zero;

__attribute__((noinline)) static long leaf(long a)
{
    sink = (int)a;
    return a * 3;
}

__attribute__((noinline)) static long busy(long a, long b, long c)
{
    long d = leaf(a), e = leaf(b), f = leaf(c);
    for (int i = 0; i < 2; i++)
        d += leaf(e + i) ^ leaf(f - i);
    return d + e * f;
}

/* Its early way out comes before anything is saved. */
__attribute__((noinline)) static long early(long a, long b)
{
    if (a == zero)
        return 1;
    long c = leaf(a);
    return busy(a, b, c) + c + leaf(b);
}

__attribute__((noinline)) static long array(long n)
{
    volatile long numbers[40];
    for (int i = 0; i < 40; i++)
        numbers[i] = n + i;
    long sum = leaf(numbers[3]);
    return sum + busy(numbers[1], numbers[2], sum);
}

__attribute__((noinline)) static long variable(int n)
{
    volatile long numbers[n];
    numbers[n - 1] = leaf(n);
    return busy(numbers[n - 1], n, 3) + numbers[n - 1];
}

__attribute__((noinline)) static long many(long a, long b, long c, long d, long e, long f, long g, long h)
{
    return busy(a + g, b + h, c) + busy(d, e, f) + leaf(g - h);
}

__attribute__((noinline)) static long chosen(int which)
{
    switch (which) {
    case 0: return leaf(10);
    case 1: return busy(1, 2, 3) + 1;
    case 2: return early(which, 2) + 2;
    case 3: return leaf(3) - 3;
    case 4: return array(4) * 4;
    case 5: return leaf(7) % 5;
    default: return 0;
    }
}

int main(void)
{
    long sum = early(0, 1) + early(5, 6) + array(7) + variable(9) + many(1, 2, 3, 4, 5, 6, 7, 8);
    for (int i = 0; i < 6; i++)
        sum += chosen(i);
    sink = (int)sum;
    return 0;
}

/* Members that are not whole bytes in the machine's order: see layouts.test.ts. */
#ifdef __clang__
#define BIG
#else
#define BIG __attribute__((scalar_storage_order("big-endian")))
#endif
typedef unsigned word;

struct flags {
    long x;
    int y;
    unsigned a : 3, b : 5;
    char z;
    struct {
        int q : 7;
        unsigned r : 9;
    } in;
    union {
        int u1;
        unsigned u2 : 4;
    };
    unsigned long long wide : 40;
    int negative : 5;
    _Bool yes : 1;
    enum colour { RED, GREEN, BLUE } colour : 2;
};

struct __attribute__((packed)) tight {
    unsigned char a : 7;
    unsigned char b : 4;
    int c : 29;
    unsigned char d : 3;
    long long e : 61;
};

struct BIG net {
    unsigned x;
    unsigned a : 4, b : 12;
    short s[3];
    double d;
    float f;
    long long l : 40;
    int neg : 5;
    char c[4];
    word w;
    _Bool y;
    struct BIG {
        unsigned short h : 3, k : 13;
    } in[2];
};

struct flags flags = {1, 2, 5, 17, 'z', {-3, 300}, {.u1 = 0x1234}, 0x123456789aULL, -7, 1, BLUE};
struct tight tight = {1, 2, -12345, 5, -77777777777LL};
struct net net = {0x11223344, 5, 0x789, {1, -2, 3}, 1.5, 2.25f, -5, -3, "ab", 99, 1, {{5, 77}, {2, 8000}}};

int main(void)
{
    flags.y++;
    tight.a++;
    net.x++;
    return 0;
}

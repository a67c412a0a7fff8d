/* Kinds of C values beyond those of values.c, for the symbol engine's tests: numbers of every format, arrays of every length, text of
   every width. The tests name lines by the markers in comments. */
#include <complex.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uchar.h>
#include <wchar.h>

typedef int v4 __attribute__((vector_size(16)));
typedef float vf2 __attribute__((vector_size(8)));

enum access { READ = 1, WRITE = 2, EXEC = 4 };
enum mixed { ONE = 1, SIX = 6, EIGHT = 8 };
enum negative { MINUS = -1, PLUS = 1 };

struct flexible {
  int count;
  char text[];
};

struct numbers {
  int count;
  int values[];
};

struct bits {
  int small : 3;
  unsigned wide : 29;
  _Bool yes : 1;
  enum access access : 3;
  long long : 0;
  unsigned long long far : 50;
  signed char tiny : 2;
};

struct ring {
  int value;
  struct ring *next, *previous;
};

struct nested {
  struct {
    int a;
    union {
      int b;
      char c;
    };
  } named;
  struct {
    int d;
  };
  union {
    long e;
    double f;
  } other;
  int (*table[2])(int);
  const volatile struct ring *const rings[2];
  int grid[2][3][2];
};

static int twice(int x) { return 2 * x; }

double one_and_half = 1.5, huge = 1e100, tiny = 1e-7, not_a_number = __builtin_nan(""), infinite = -1.0 / 0.0, tenth = 0.1;
float single = 0.1f, smallest = 1e-45f;
long double extended = 0.1L, extended_huge = 1e4000L;
double _Complex complex_double = 1 + 2 * I;
float _Complex complex_single = -1 - 2 * I;
#ifndef __clang__
_Float128 quad = 0.1F128;
_Decimal64 decimal = -123.456DD;
_Decimal128 small_decimal = 1e-10DL;
#endif
__int128 wide_negative = -5;
unsigned __int128 wide_positive = (unsigned __int128)-1;
int sparse[300] = { 1, [50] = 2 };
short zeros[64];
char text[16] = "ab\0cd", full[3] = "abc", escapes[] = "a\"b\\c\n\t\033\177\200";
unsigned char raw[4] = { 1, 2, 200, 0 };
signed char small = -5;
const char *utf = "h\303\251";
wchar_t wide_text[4] = L"ab";
const wchar_t *wide_pointer = L"wide";
const char16_t *text16 = u"h\u00e9";
char32_t letter32 = U'\u00e9';
enum access access_both = READ | EXEC, access_odd = (enum access)(WRITE | 32), access_none = (enum access)0;
enum mixed mixed_sum = (enum mixed)7;
enum negative minus = MINUS;
v4 vector = { 1, 2, 3, 4 };
vf2 float_vector = { 1.5f, -2 };
struct bits bits = { -1, 17, 1, WRITE | EXEC, 0x3ffffffffffffULL, -2 };
struct nested nested = { { 1, { 2 } }, { 3 }, { 4 }, { twice, NULL }, { NULL, NULL }, { { { 1, 2 }, { 3, 4 }, { 5, 6 } } } };
struct ring first, second = { 2, &first, &first };
_Bool yes = 1;
int (*function)(int) = twice;
void *anything = &sparse;
union {
  uint32_t word;
  uint8_t bytes[4];
  float number;
} shared = { 0x3fc00000 };
_Atomic int atomic = 6;
const volatile unsigned fixed = 4000000000u;
uint8_t byte = 200;
long storage[8];

static __attribute__((noinline)) int lengths(int n)
{
  int vla[n + 2];
  short grid[n][3];
  char name[n + 4];
  int (*pointer)[n] = (int (*)[n])&vla;
  struct flexible *flexible = (struct flexible *)storage;
  struct numbers *numbers = (struct numbers *)storage;
  for (int i = 0; i < n + 2; i++)
    vla[i] = i * i;
  memset(grid, 1, sizeof grid);
  strcpy(name, "vla");
  flexible->count = n;
  strcpy(flexible->text, "hello");
  return vla[n] + grid[1][1] + name[0] + (*pointer)[0] + numbers->count; /* marker: lengths */
}

int main(void)
{
  first = (struct ring){ 1, &second, &second };
  printf("%d %d\n", lengths(3), second.next->value); /* marker: main */
  return 0;
}

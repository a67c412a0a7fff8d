/* Macros that change along the file: line numbers matter to macros.test.ts. */
#include "macros.h"
#define LIMIT 10
#define SQUARE(x) ((x) * (x))
#define MASK (LIMIT | FLAG_A)
#define SELF SELF
int total;
static volatile int SELF = 3;

__attribute__((noinline)) int before(int n) {
  return n + LIMIT + MASK;
}

#undef LIMIT
#define LIMIT 20
#define total_twice (total * 2)

__attribute__((noinline)) int after(int n) {
  total += n;
  return SQUARE(n) + LIMIT + total_twice + SELF + IN_HEADER[0];
}

#undef LIMIT

int main(int argc, char **argv) {
  (void)argv;
  return before(argc) + after(argc);
}

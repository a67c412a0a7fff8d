/* A parameter that the optimiser removes: only the callers still know what it was (DW_OP_GNU_parameter_ref). */
#include <stdlib.h>

volatile int sink;

static __attribute__((noinline)) int work(int level, int unused, int *place) {
  sink = *place + level;
  if (sink > 100000) abort();
  sink += *place;
  return sink;
}

__attribute__((noinline)) int outer(int n) {
  int local = n * 3;
  int first = work(7, 99, &local);
  return first + work(7, n + 5, &local) + local;
}

int main(int argc, char **argv) {
  (void)argv;
  return outer(argc) & 1;
}

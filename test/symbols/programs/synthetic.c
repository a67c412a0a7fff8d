/* Pointers that the optimiser removes together with what they point at (DW_OP_implicit_pointer). */
struct pair {
  int first;
  int second;
};

volatile int sink;

static inline int use(struct pair *place, int *other, int factor) {
  int product = place->first * factor;
  sink = product;
  product += *other;
  sink += place->second;
  return product;
}

__attribute__((noinline)) int work(int n) {
  struct pair local = {n, n + 1};
  int twice = n * 2;
  int result = use(&local, &twice, 3);
  sink = result;
  return result + local.second;
}

int main(int argc, char **argv) {
  (void)argv;
  return work(argc + 4) & 1;
}

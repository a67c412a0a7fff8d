/* A second unit for packages: what belongs to it must not be mixed up with values.c. */
struct parcel {
  const char *label;
  unsigned weight;
  struct parcel *next;
};

unsigned total_weight;

__attribute__((noinline)) unsigned weigh(const struct parcel *first, unsigned limit) {
  unsigned sum = 0;
  for (const struct parcel *it = first; it && sum < limit; it = it->next) {
    unsigned before = sum;
    sum += it->weight;
    if (sum < before) break;
  }
  total_weight += sum;
  return sum;
}

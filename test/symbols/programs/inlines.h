/* Functions that end up inlined in programs that include this. */
static inline __attribute__((always_inline)) int twice(int value)
{
  int sum = value + value;
  return sum;
}

static inline int clamp(int value, int low, int high)
{
  if (value < low)
    return low;
  return value > high ? high : twice(value) / 2;
}

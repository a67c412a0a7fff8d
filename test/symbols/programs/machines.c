/* Freestanding, for machines whose headers are not here. */
struct point { int x; short y; unsigned bits : 3, more : 5; const char *name; };
enum colour { RED, GREEN = 5 };
struct point origin = { 1, 2, 3, 4, "o" };
static int square(int v) { return v * v; }
int work(struct point *p, enum colour c) {
  int total = 0;
  for (int i = 0; i < p->x; i++) {
    total += square(i);
    total += c == GREEN ? p->y : 1;
  }
  return total;
}

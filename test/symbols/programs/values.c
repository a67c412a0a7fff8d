/* Every kind of C type and of control flow that the symbol engine's tests ask about. Compiled at all levels, never edited lightly:
   the tests name lines by the markers in comments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inlines.h"

enum colour { RED, GREEN = 5, BLUE };

typedef unsigned long word_t;

struct point {
  int x, y;
};

union number {
  int as_int;
  float as_float;
  unsigned char bytes[4];
};

struct flags {
  unsigned ready : 1;
  unsigned mode : 3;
  signed level : 4;
  unsigned long wide : 40;
};

struct node {
  struct point at;
  enum colour colour;
  const char *name;
  struct node *next;
  int (*compare)(const struct node *, const struct node *);
  union number number;
  struct flags flags;
  double weights[3];
  short grid[2][3];
  struct {
    int inner;
  };
};

int global_counter = 42;
static struct node head;
const char *const greeting = "hello";
volatile word_t ticks;

static int by_x(const struct node *a, const struct node *b)
{
  return a->at.x - b->at.x;
}

static __attribute__((noinline)) int sum_points(const struct point *points, int count)
{
  int total = 0;
  for (int i = 0; i < count; i++) {
    int product = points[i].x * points[i].y;
    if (product > 100) {
      int excess = product - 100;
      total += clamp(excess, 1, 50);
    } else {
      total += twice(product);
    }
  }
  return total; /* marker: sum_points return */
}

static __attribute__((noinline)) struct node *push(struct node *list, const char *name, int x, int y)
{
  struct node *node = malloc(sizeof *node);
  if (node == NULL)
    abort();
  memset(node, 0, sizeof *node);
  node->at = (struct point){ x, y };
  node->colour = x % 2 ? GREEN : BLUE;
  node->name = name;
  node->next = list;
  node->compare = by_x;
  node->number.as_float = 1.5f;
  node->flags.ready = 1;
  node->flags.mode = 5;
  node->flags.level = -3;
  node->flags.wide = 0x123456789aUL;
  node->weights[1] = 2.25;
  node->grid[1][2] = -7;
  node->inner = 99;
  return node; /* marker: push return */
}

static __attribute__((noinline)) long recurse(int depth, long accumulated)
{
  long local = accumulated * 31 + depth;
  char buffer[64];
  snprintf(buffer, sizeof buffer, "%d:%ld", depth, local);
  if (depth == 0)
    return local + (long)strlen(buffer); /* marker: recurse bottom */
  return recurse(depth - 1, local) + buffer[0];
}

static __attribute__((noinline)) int choose(int key)
{
  switch (key) {
  case 0:
    return 10;
  case 1:
    return 21;
  case 2:
    return global_counter;
  case 3:
    return key * 100;
  case 4:
    return (int)ticks;
  default:
    return -1;
  }
}

int main(int argc, char **argv)
{
  struct point points[4] = { { 1, 2 }, { 30, 4 }, { 5, 6 }, { argc, 8 } };
  struct node *list = NULL;
  list = push(list, "first", 1, 2);
  list = push(list, argv[0] ? "second" : "none", 2, 3);
  head = *list;
  global_counter += sum_points(points, 4);
  for (int key = 0; key < 6; key++)
    ticks += (word_t)choose(key);
  printf("%d %ld %s\n", global_counter, recurse(5, argc), greeting); /* marker: main print */
  return list->compare(list, &head);
}

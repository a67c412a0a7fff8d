// Every kind of C++ type that the symbol engine's tests ask about. The tests name lines by the markers in comments.
#include <cstddef>
#include <cstdint>
#include <cstdio>

enum class Level : unsigned char { Low = 1, High = 200 };
enum Plain { FIRST, SECOND = 7 };
enum Bits { BIT_A = 1, BIT_B = 2, BIT_C = 8 };

namespace outer {
int depth = 3;
enum Mode { OFF, ON };
enum class Shade { Dark, Light };

namespace inner {
struct Point {
  int x, y;
  int area() const { return x * y; }
};
Point origin = { 4, 5 };
int scaled(int by) { return origin.x * by; }
} // namespace inner

struct Shape {
  static int count;
  static const int limit = 12;
  enum Kind { ROUND, FLAT };
  struct Inner {
    short tag;
    Kind kind;
  };
  typedef unsigned long id_t;

  Inner inner;
  id_t id;
  explicit Shape(id_t number) : inner{ 3, FLAT }, id(number) { count++; }
  virtual ~Shape() {}
  virtual double size() const { return 1.5; }
  int number(int more) { return static_cast<int>(id) + more; }
};
int Shape::count = 0;

struct Named {
  const char *name;
  explicit Named(const char *text) : name(text) {}
};

class Circle : public Shape, public Named {
public:
  double radius;
  Circle(id_t number, double r) : Shape(number), Named("circle"), radius(r) {}
  double size() const override
  {
    return radius * radius; // marker: size
  }
};
} // namespace outer

namespace outer {
inline namespace v1 {
typedef short word_t;
word_t versioned = 8;
struct Versioned {
  int release;
};
Versioned current = { 2 };
} // namespace v1
} // namespace outer

namespace {
int hidden = 77;
struct Hidden {
  int inside;
};
Hidden secret = { 6 };
} // namespace

struct Root {
  int root;
  Root() : root(1) {}
  virtual ~Root() {}
};
struct Left : virtual Root {
  int left;
  Left() : left(2) {}
};
struct Right : virtual Root {
  int right;
  Right() : right(3) {}
};
struct Diamond : Left, Right {
  int bottom;
  Diamond() : bottom(4) {}
};

template <typename T, int N> struct Box {
  T items[N];
  static const int size = N;
  T first() const { return items[0]; }
};

template <typename A, typename B> struct Pair {
  A a;
  B b;
};

template <typename T> T largest(T a, T b)
{
  return a > b ? a : b; // marker: largest
}

struct Mixed {
  int kind;
  union {
    int as_int;
    float as_float;
    struct {
      short low, high;
    };
  };
  bool ready : 1;
  Level level : 8;
  int operator+(int other) const { return kind + other; }
};

struct Vars {
  char16_t wide16;
  char32_t wide32;
  wchar_t wide;
  char16_t text16[6];
  char32_t text32[4];
  wchar_t text[5];
  signed char small;
  unsigned char byte;
  bool yes, no;
  long double extended;
  __int128 huge;
  unsigned __int128 vast;
  const volatile int fixed;
  std::nullptr_t nothing;
  int *const pointer;
  int (*table[2])(int);
};

Mixed mixed = { 1, { 0x10002 }, true, Level::High };
Box<int, 3> box = { { 7, 8, 9 } };
Box<Pair<int, char>, 2> nested = { { { 1, 'a' }, { 2, 'b' } } };
Pair<outer::inner::Point, Box<unsigned long, 1>> deep = { { 1, 2 }, { { 3 } } };
Level level = Level::High;
Level odd = static_cast<Level>(9);
Plain plain = SECOND;
Bits bits = static_cast<Bits>(BIT_A | BIT_C);
Bits extra = static_cast<Bits>(BIT_B | 16);
Bits none = static_cast<Bits>(0);
outer::Mode mode = outer::ON;
outer::Shade shade = outer::Shade::Light;
outer::Shape::Kind kind = outer::Shape::ROUND;
outer::Shape::Inner part = { 5, outer::Shape::FLAT };
Vars vars = { u'\u00e9', U'\U0001f600', L'w', u"h\u00e9", U"xyz", L"wide", -5, 200, true, false, 1.25L,
              -(static_cast<__int128>(1) << 100), static_cast<unsigned __int128>(1) << 127, 11, nullptr, &outer::depth,
              { outer::inner::scaled, nullptr } };

int outer::inner::Point::*data_member = &outer::inner::Point::y;
int outer::inner::Point::*no_member = nullptr;
int (outer::inner::Point::*function_member)() const = &outer::inner::Point::area;
double (outer::Shape::*virtual_member)() const = &outer::Shape::size;
int &reference = outer::depth;
outer::inner::Point *pointed = &outer::inner::origin;
outer::inner::Point *&pointed_again = pointed;
int numbers[3] = { 1, 2, 3 };
int (&same_numbers)[3] = numbers;
outer::Circle circle(42, 2.5);
outer::Shape *shape = &circle;
outer::Circle &same = circle;
Diamond diamond;
Left *left_half = &diamond;

__attribute__((noinline)) int combine(const outer::Shape &object, int &&moved, Diamond *joined)
{
  struct Local {
    int here;
  } local = { moved };
  static int calls = 5;
  auto doubled = local.here * 2;
  calls += doubled;
  return calls + joined->bottom + static_cast<int>(object.size()); // marker: combine
}

int main()
{
  int total = combine(circle, 21, &diamond);
  total += largest(3, 4) + static_cast<int>(largest(2.5, 1.5));
  total += (circle.*virtual_member)() > 1 ? (outer::inner::origin.*function_member)() : box.first() + (mixed + 1);
  total += circle.number(1) + hidden + secret.inside + reference + nested.items[0].a + deep.a.x + Box<int, 3>::size;
  std::printf("%d %d %d\n", total, left_half->root, same.inner.tag); // marker: main print
  return shade == outer::Shade::Dark && pointed_again->x && same_numbers[0] && outer::versioned && outer::current.release && vars.yes && extra && none && part.tag && odd == level && shape && !data_member &&
         !no_member && plain && mode && kind && bits;
}

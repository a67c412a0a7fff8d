// Rust's kinds of values, for the symbol engine's tests. The tests name lines by the markers in comments.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

mod shapes {
    pub mod deep {
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Color {
            Red,
            Green = 5,
        }
        pub static LIMIT: u32 = 7;
        pub struct Meters(pub f64);
        pub struct Nothing;
        #[inline(never)]
        pub fn twice(x: u32) -> u32 {
            x * 2
        }
    }
}
use shapes::deep::{Color, Meters, Nothing};

#[derive(Debug)]
enum Shape {
    Circle(f64),
    Rect { w: u32, h: u32 },
    Unit,
}

trait Speak {
    fn speak(&self) -> u32;
}

struct Dog {
    age: u32,
}

impl Speak for Dog {
    #[inline(never)]
    fn speak(&self) -> u32 {
        self.age + 1 // marker: speak
    }
}

union Both {
    whole: u32,
    float: f32,
}

struct Holder<T> {
    items: Vec<T>,
    name: String,
    maybe: Option<Box<i32>>,
    tag: Option<u8>,
    wide: (i8, char),
}

#[inline(never)]
fn total(holder: &Holder<u32>, text: &str, numbers: &[u16]) -> u64 {
    let mut sum = 0u64;
    for item in &holder.items {
        sum += *item as u64;
    }
    let pair = (sum, text.len());
    sum + pair.1 as u64 + numbers.len() as u64 // marker: total
}

#[inline(never)]
fn kinds(seed: u32) -> u32 {
    let color = if seed > 2 { Color::Green } else { Color::Red };
    let meters = Meters(2.5);
    let nothing = Nothing;
    let shared = Rc::new(seed);
    let again = shared.clone();
    let text = Arc::new(String::from("shared"));
    let cell = Cell::new(3u8);
    let guarded = RefCell::new(vec![1i16]);
    let ring: VecDeque<i32> = (1..4).collect();
    let boxed = Box::new(9i64);
    let dog = Dog { age: seed };
    let speaker: &dyn Speak = &dog;
    let some: Option<&u32> = Some(&shared);
    let none: Option<&u32> = None;
    let owned: Option<Box<i64>> = Some(Box::new(3));
    let failed: Result<u32, String> = Err(String::from("bad"));
    let grid = [[1u8, 2], [3, 4]];
    let tuple = (1u8, "x", ('y', 2.5f32));
    let unit = ();
    let big: u128 = 1 << 100;
    let negative: i128 = -(1 << 90);
    let letter = 'é';
    let yes = true;
    let slice = &grid[..];
    let boxed_slice: Box<[u16]> = vec![1, 2].into_boxed_slice();
    let boxed_text: Box<str> = "boxed".into();
    let mut counter = 7;
    let reference = &mut counter;
    *reference += 1;
    let function: fn(u32) -> u32 = shapes::deep::twice;
    let closure = |x: u32| x + *again;
    let both = Both { whole: 1 };
    let nested: Option<Option<bool>> = Some(None);
    let raw = &color as *const Color;
    let empty: Vec<u8> = Vec::new();
    let words = vec![String::from("a"), String::from("b")];
    let order = std::cmp::Ordering::Less;
    let non_zero = NonZeroU32::new(5);
    let range = 1..5u32;
    let no_text: Option<String> = None;
    let long: Vec<u32> = (0..1000).collect();
    let result = shapes::deep::LIMIT + closure(1) + function(1) + speaker.speak();
    let seen = (&meters, &cell, &guarded, &ring, &boxed, some, none, &owned, &failed, &tuple); // marker: kinds
    println!("{}{:?}{:?}{:?}{:?}{:?}", seen.0 .0, seen.1, seen.2, seen.3, seen.4, (seen.5, seen.6, seen.7));
    println!("{:?}{:?}{:?}{:?}{:?}{:?}{:?}", seen.8, seen.9, unit, big, negative, letter, (yes, slice, boxed_slice));
    println!("{:?}{}{:?}{:?}{:?}{:?}", boxed_text, counter, nested, raw, empty, (words, order, non_zero, range, no_text));
    println!("{}{}{}", std::mem::size_of_val(&nothing), text, long.len());
    result + unsafe { both.whole } + both_float(&both) as u32
}

fn both_float(both: &Both) -> f32 {
    unsafe { both.float }
}

fn main() {
    let holder = Holder {
        items: vec![1, 2, 3],
        name: String::from("abc"),
        maybe: None,
        tag: Some(9),
        wide: (-1, 'x'),
    };
    let shapes = [Shape::Circle(1.5), Shape::Rect { w: 2, h: 3 }, Shape::Unit];
    let sum = total(&holder, "hello", &[1, 2, 3]);
    let more = kinds(5);
    println!("{} {:?} {} {:?} {:?} {:?} {}", sum, shapes, holder.name, holder.maybe, holder.tag, holder.wide, more); // marker: main
}

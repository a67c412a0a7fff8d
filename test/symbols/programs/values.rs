// Rust's kinds of values, for the symbol engine's tests. The tests name lines by the markers in comments.
#[derive(Debug)]
enum Shape {
    Circle(f64),
    Rect { w: u32, h: u32 },
    Unit,
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
    println!("{} {:?} {} {:?} {:?} {:?}", sum, shapes, holder.name, holder.maybe, holder.tag, holder.wide); // marker: main
}

//! What must hold of a CRUSH map before anything is mapped with it.

use super::map::{bucket_id, slot};
use super::{Algorithm, Bucket, CrushError, CrushParts, ITEM_UNDEFINED};

/// Levels below a bucket. Clusters have 11 types and Ceph's own tools go ten levels deep.
const DEPTH_MAX: u8 = 32;

/// Slots for buckets, so that ids stay far from the ends of their range. A large cluster has some ten thousand.
const BUCKETS_MAX: usize = 1 << 24;

/// Nodes of a tree bucket: their number is written as a byte.
const NODES_MAX: usize = u8::MAX as usize;

/// Checks everything that mapping relies on, and returns one more than the highest device.
pub(super) fn check(parts: &CrushParts) -> Result<i32, CrushError> {
    if parts.buckets.len() > BUCKETS_MAX {
        return Err(CrushError { bucket: -1, why: "there are more buckets than any cluster has" });
    }
    let mut max_devices = 0;
    for (slot, bucket) in parts.buckets.iter().enumerate() {
        let Some(bucket) = bucket else { continue };
        check_bucket(parts, bucket).map_err(|why| CrushError { bucket: bucket_id(slot), why })?;
        max_devices = bucket.items.iter().fold(max_devices, |max, &item| max.max(item.saturating_add(1)));
    }
    check_depth(parts)?;
    for args in parts.choose_args.values() {
        for (&slot, arg) in args {
            let bucket = parts.buckets.get(slot as usize).and_then(Option::as_ref);
            if !arg.ids.is_empty() && bucket.is_none_or(|bucket| bucket.items.len() != arg.ids.len()) {
                let why = "its choose args have other ids than it has items";
                return Err(CrushError { bucket: bucket_id(slot as usize), why });
            }
        }
    }
    // A device that only has a name counts too.
    let named = parts.item_names.last_key_value().map_or(0, |(&item, _)| item.saturating_add(1));
    Ok(max_devices.max(named))
}

fn check_bucket(parts: &CrushParts, bucket: &Bucket) -> Result<(), &'static str> {
    if bucket.type_id == 0 {
        return Err("it has the type of a device");
    }
    for &item in &bucket.items {
        match slot(item) {
            None if item >= ITEM_UNDEFINED => return Err("it holds a device that cannot be"),
            None => {}
            Some(slot) if parts.buckets.get(slot).is_none_or(Option::is_none) => {
                return Err("it holds a bucket that does not exist");
            }
            Some(_) => {}
        }
    }
    let items = bucket.items.len();
    let fits = match &bucket.algorithm {
        Algorithm::Uniform { .. } => true,
        Algorithm::List { weights, sums } => weights.len() == items && sums.len() == items,
        // The item at `n` is node 2n+1, and a descent ends only in a tree whose root is a power of two.
        Algorithm::Tree { nodes } => {
            let tree = nodes.len().is_power_of_two() && nodes.len() >= 2 * items;
            nodes.len() <= NODES_MAX && (items == 0 || tree)
        }
        Algorithm::Straw { weights, straws } => weights.len() == items && straws.len() == items,
        Algorithm::Straw2 { weights } => weights.len() == items,
    };
    if fits { Ok(()) } else { Err("its weights do not fit its items") }
}

/// What is known of a bucket while the hierarchy is searched for cycles.
#[derive(Clone, Copy)]
enum Visit {
    /// Not seen yet.
    New,
    /// The search is below it.
    Open,
    /// It is this high: 0 when it holds only devices.
    Done(u8),
}

/// Checks that no bucket is below itself, and none too deep, without recursion.
fn check_depth(parts: &CrushParts) -> Result<(), CrushError> {
    let mut visits = vec![Visit::New; parts.buckets.len()];
    // The buckets from the one where the search began down to the present one: slot, next item, height so far.
    let mut path: Vec<(usize, usize, u8)> = Vec::new();
    for begin in 0..parts.buckets.len() {
        if matches!(visits[begin], Visit::New) && parts.buckets[begin].is_some() {
            path.push((begin, 0, 0));
            visits[begin] = Visit::Open;
        }
        while let Some((at, next, height)) = path.last_mut() {
            let (at, items) = (*at, parts.buckets[*at].as_ref().map_or(&[][..], |bucket| &bucket.items));
            let error = |why| CrushError { bucket: bucket_id(at), why };
            let Some(&item) = items.get(*next) else {
                visits[at] = Visit::Done(*height);
                path.pop();
                continue;
            };
            let Some(child) = slot(item) else {
                *next += 1;
                continue;
            };
            match visits[child] {
                Visit::New => {
                    visits[child] = Visit::Open;
                    path.push((child, 0, 0));
                }
                Visit::Open => return Err(error("it is below itself")),
                Visit::Done(below) if below + 1 > DEPTH_MAX => return Err(error("it is too high")),
                Visit::Done(below) => {
                    *height = (*height).max(below + 1);
                    *next += 1;
                }
            }
        }
    }
    Ok(())
}

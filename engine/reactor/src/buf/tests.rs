//! Views of buffers against a model that copies.

use super::Buf;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

#[derive(Clone, Debug)]
enum Step {
    SplitTo(Index, Index),
    SplitOff(Index, Index),
    Unsplit(Index, Index),
    Truncate(Index, Index),
    Fill(Index, u8),
    Drop(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || (any::<Index>(), any::<Index>());
    prop_oneof![
        4 => pair().prop_map(|(a, b)| Step::SplitTo(a, b)),
        4 => pair().prop_map(|(a, b)| Step::SplitOff(a, b)),
        6 => pair().prop_map(|(a, b)| Step::Unsplit(a, b)),
        1 => pair().prop_map(|(a, b)| Step::Truncate(a, b)),
        3 => (any::<Index>(), any::<u8>()).prop_map(|(a, b)| Step::Fill(a, b)),
        1 => any::<Index>().prop_map(Step::Drop),
    ]
}

/// A buffer and what the model thinks of it: which region, where in it, and the bytes.
struct View {
    buf: Buf,
    region: usize,
    at: usize,
    bytes: Vec<u8>,
}

/// Splits a view at `at`; the front and the back.
fn split(view: View, at: usize, off: bool) -> (View, View) {
    let View { mut buf, region, at: start, mut bytes } = view;
    let (front, back) = if off {
        let back = buf.split_off(at);
        (buf, back)
    } else {
        let front = buf.split_to(at);
        (front, buf)
    };
    let rest = bytes.split_off(at);
    (View { buf: front, region, at: start, bytes }, View { buf: back, region, at: start + at, bytes: rest })
}

/// Joins two views if they are neighbours, in the model and in truth.
fn unsplit(mut front: View, back: View) -> Result<(View, Option<View>), TestCaseError> {
    let empty = front.bytes.is_empty() || back.bytes.is_empty();
    let joins = front.region == back.region && front.at + front.bytes.len() == back.at;
    match front.buf.unsplit(back.buf) {
        Ok(()) => {
            prop_assert!(joins || empty);
            if front.bytes.is_empty() {
                (front.region, front.at) = (back.region, back.at);
            }
            front.bytes.extend_from_slice(&back.bytes);
            Ok((front, None))
        }
        Err(buf) => {
            prop_assert!(!joins && !empty);
            Ok((front, Some(View { buf, ..back })))
        }
    }
}

fn run(bufs: Vec<Buf>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let view = |(region, buf): (usize, Buf)| View { region, at: 0, bytes: buf.to_vec(), buf };
    let mut views: Vec<View> = bufs.into_iter().enumerate().map(view).collect();
    for step in steps {
        if views.is_empty() {
            break;
        }
        let off = matches!(step, Step::SplitOff(..));
        match step {
            Step::SplitTo(i, at) | Step::SplitOff(i, at) => {
                let view = views.swap_remove(i.index(views.len()));
                let at = at.index(view.bytes.len() + 1);
                let (front, back) = split(view, at, off);
                views.extend([front, back]);
            }
            Step::Unsplit(i, j) if views.len() > 1 => {
                let front = views.swap_remove(i.index(views.len()));
                let back = views.swap_remove(j.index(views.len()));
                let (front, back) = unsplit(front, back)?;
                views.push(front);
                views.extend(back);
            }
            Step::Unsplit(..) => {}
            Step::Truncate(i, len) => {
                let place = i.index(views.len());
                let len = len.index(views[place].bytes.len() + 10);
                views[place].buf.truncate(len);
                views[place].bytes.truncate(len);
            }
            Step::Fill(i, byte) => {
                let place = i.index(views.len());
                views[place].buf.fill(byte);
                views[place].bytes.fill(byte);
            }
            Step::Drop(i) => drop(views.swap_remove(i.index(views.len()))),
        }
        for view in &views {
            prop_assert_eq!(&view.buf[..], &view.bytes[..]);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn views_stay_apart_on_the_heap(steps in vec(step(), 0..80)) {
        run(vec![Buf::zeroed(300), Buf::zeroed(5000)], steps)?;
    }

    #[test]
    fn views_stay_apart_in_lent_memory(steps in vec(step(), 0..80)) {
        let mut memory = vec![0u8; 1000];
        let (a, b) = memory.split_at_mut(400);
        // SAFETY: `memory` outlives `run`, which drops every view, and nobody else touches it meanwhile.
        let bufs = unsafe { [Buf::lent(a.as_mut_ptr(), a.len()), Buf::lent(b.as_mut_ptr(), b.len())] };
        run(bufs.into(), steps)?;
    }
}

#[test]
fn neighbours_of_different_regions_do_not_join() {
    let mut memory = [0u8; 8];
    let (a, b) = memory.split_at_mut(4);
    // SAFETY: `memory` outlives both views.
    let (mut a, b) = unsafe { (Buf::lent(a.as_mut_ptr(), 4), Buf::lent(b.as_mut_ptr(), 4)) };
    assert!(a.unsplit(b).is_err());
}

#[test]
fn alignment_is_of_address_and_length() {
    let mut buf = Buf::zeroed(8192);
    assert!(buf.is_aligned(4096));
    let tail = buf.split_off(4096 + 512);
    assert!(!buf.is_aligned(4096) && buf.is_aligned(512));
    assert!(!tail.is_aligned(4096));
}

#[test]
fn shared_views_keep_their_bytes_until_the_last_is_gone() {
    let mut buf = Buf::zeroed(8192);
    buf[4096] = 7;
    let tail = buf.split_off(4096);
    let shared = crate::SharedBuf::from(tail);
    let (again, part) = (shared.clone(), shared.slice(..1));
    drop(shared);
    drop(buf);
    assert_eq!((again.len(), again[0], &part[..]), (4096, 7, &[7u8][..]));
    assert!(again.slice(5..5).is_empty());
}

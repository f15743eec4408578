//! CRUSH maps that are wrong, newer than we are, or ask for too much: each ends in an error that says so, and none in a
//! loop.

#![allow(clippy::unwrap_used)]

use fastrand::Rng;
use ringbd_proto::codec::{DecodeErrorKind, Encoder};
use ringbd_proto::crush::{
    Algorithm, Bucket, ChooseOrder, CrushError, CrushMap, CrushParts, DRAWS_MAX, MappingError, Rule, Step,
    Tunables, Workspace,
};

mod random_maps;

/// A bucket of straw2 items that weigh 1.
fn bucket(type_id: u16, items: &[i32]) -> Option<Bucket> {
    let algorithm = Algorithm::Straw2 { weights: vec![0x1_0000; items.len()] };
    let weight = 0x1_0000 * items.len().min(1000) as u32;
    Some(Bucket { type_id, hash: 0, weight, items: items.to_vec(), algorithm })
}

fn rule(steps: &[Step]) -> Option<Rule> {
    Some(Rule { ruleset: 0, pool_type: 1, min_size: 1, max_size: 10, steps: steps.to_vec() })
}

fn choose(leaf: bool, type_id: i32) -> Step {
    Step::Choose { order: ChooseOrder::Firstn, leaf, count: 0, type_id }
}

/// Two hosts of two OSDs below a root, and a rule that takes OSDs from different hosts.
fn parts() -> CrushParts {
    CrushParts {
        buckets: vec![bucket(1, &[0, 1]), bucket(1, &[2, 3]), bucket(2, &[-1, -2])],
        rules: vec![rule(&[Step::Take(-3), choose(true, 1), Step::Emit])],
        ..CrushParts::default()
    }
}

fn map(parts: CrushParts) -> CrushMap {
    CrushMap::new(parts).unwrap()
}

/// What the first rule gives to a number, or not within some thousand draws.
fn first(map: &CrushMap, width: usize) -> Result<Vec<i32>, MappingError> {
    let mut workspace = Workspace::with_draws_max(10_000);
    map.map(0, 7, width, &[0x1_0000; 4], -1, &mut workspace).map(<[i32]>::to_vec)
}

#[test]
fn no_host_is_taken_twice() {
    let map = map(parts());
    let mut workspace = Workspace::default();
    for x in 0..10_000 {
        let osds = map.map(0, x, 3, &[0x1_0000; 4], -1, &mut workspace).unwrap();
        assert!(osds.len() == 2 && osds[0] / 2 != osds[1] / 2, "{x}: {osds:?}");
    }
}

#[test]
fn a_bucket_below_itself_is_refused() {
    let mut wrong = parts();
    wrong.buckets[0] = bucket(1, &[0, -3]);
    assert_eq!(CrushMap::new(wrong), Err(CrushError { bucket: -3, why: "it is below itself" }));
    let mut wrong = parts();
    wrong.buckets[2] = bucket(2, &[-3]);
    assert_eq!(CrushMap::new(wrong), Err(CrushError { bucket: -3, why: "it is below itself" }));
}

#[test]
fn a_bucket_may_be_below_two_others() {
    let mut shared = parts();
    shared.buckets.push(bucket(3, &[-3, -1]));
    assert!(CrushMap::new(shared).is_ok());
}

#[test]
fn a_child_that_does_not_exist_is_refused() {
    for child in [-4, -5, i32::MIN, i32::MAX, i32::MAX - 1] {
        let mut wrong = parts();
        wrong.buckets.push(None);
        wrong.buckets[1] = bucket(1, &[child]);
        assert!(CrushMap::new(wrong).is_err(), "{child}");
    }
}

#[test]
fn a_tower_of_buckets_is_refused() {
    let tower = |floors: i32| {
        let ids = 0..floors;
        let buckets = ids.map(|n| bucket(n as u16 + 1, &[if n == 0 { 0 } else { -n }])).collect();
        CrushMap::new(CrushParts { buckets, ..CrushParts::default() })
    };
    assert!(tower(33).is_ok());
    assert_eq!(tower(34), Err(CrushError { bucket: -34, why: "it is too high" }));
}

#[test]
fn a_hundred_thousand_buckets_are_checked_without_recursion() {
    let mut buckets: Vec<_> = (0..100_000).map(|n| bucket(1, &[n])).collect();
    buckets.push(bucket(2, &(1..=100_000).map(|n| -n).collect::<Vec<_>>()));
    assert_eq!(map(CrushParts { buckets, ..CrushParts::default() }).max_devices(), 100_000);
}

#[test]
fn a_tree_whose_descent_would_not_end_is_refused() {
    for nodes in [vec![], vec![1; 1], vec![1; 2], vec![1; 3], vec![1; 6], vec![1; 256]] {
        let mut wrong = parts();
        wrong.buckets[0].as_mut().unwrap().algorithm = Algorithm::Tree { nodes: nodes.clone() };
        assert!(CrushMap::new(wrong).is_err(), "{} nodes", nodes.len());
    }
    // All weights are 0, so that a descent ends beyond the items.
    let mut empty = parts();
    let mut three = bucket(1, &[0, 1, 2]).unwrap();
    three.algorithm = Algorithm::Tree { nodes: vec![0; 8] };
    empty.buckets[0] = Some(three);
    assert_eq!(first(&map(empty), 2).unwrap().len(), 1);
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    for algorithm in [
        Algorithm::Straw2 { weights: vec![1] },
        Algorithm::Straw { weights: vec![1, 1], straws: vec![1] },
        Algorithm::List { weights: vec![1, 1, 1], sums: vec![1, 1] },
    ] {
        let mut wrong = parts();
        wrong.buckets[0].as_mut().unwrap().algorithm = algorithm;
        let error = CrushError { bucket: -1, why: "its weights do not fit its items" };
        assert_eq!(CrushMap::new(wrong), Err(error));
    }
    let mut wrong = parts();
    wrong.buckets[0].as_mut().unwrap().type_id = 0;
    assert!(CrushMap::new(wrong).is_err());
}

#[test]
fn tries_without_end_are_cut_off() {
    let mut endless = parts();
    endless.tunables = Tunables { choose_total_tries: u32::MAX, ..Tunables::LEGACY };
    let steps = [Step::SetChooseTries(i32::MAX), Step::Take(-3), choose(true, 1), Step::Emit];
    endless.rules = vec![rule(&steps)];
    let map = map(endless);
    assert_eq!(first(&map, 2).unwrap().len(), 2);
    // There is no third host, and it is looked for with 2^31 tries.
    assert_eq!(first(&map, 3), Err(MappingError::TooMuchWork { rule: 0 }));
    let mut workspace = Workspace::default();
    let error = map.map(0, 7, 3, &[0x1_0000; 4], -1, &mut workspace);
    assert_eq!(error, Err(MappingError::TooMuchWork { rule: 0 }));
    const { assert!(DRAWS_MAX < 1 << 27, "a mapping ends within about a second") };
}

#[test]
fn counts_without_end_are_cut_off() {
    for order in [ChooseOrder::Firstn, ChooseOrder::Indep] {
        let mut endless = parts();
        let step = Step::Choose { order, leaf: false, count: i32::MAX, type_id: 7 };
        endless.rules = vec![rule(&[Step::Take(-3), step, Step::Emit])];
        let result = first(&map(endless), 2);
        match order {
            ChooseOrder::Firstn => assert_eq!(result, Err(MappingError::TooMuchWork { rule: 0 })),
            ChooseOrder::Indep => assert_eq!(result, Ok(vec![i32::MAX; 2])),
        }
    }
}

#[test]
fn what_is_newer_is_named_when_it_is_needed() {
    let mut newer = parts();
    newer.rules[0] = rule(&[Step::Take(-3), Step::Unsupported { op: 16, arg1: 0, arg2: 1 }, Step::Emit]);
    newer.rules.push(parts().rules[0].clone());
    newer.buckets[1].as_mut().unwrap().hash = 9;
    let bytes = Encoder::to_vec(|e| map(newer).encode(e));
    let map = CrushMap::decode(&bytes).unwrap();
    let error = first(&map, 2).unwrap_err();
    assert_eq!(error, MappingError::UnsupportedStep { rule: 0, op: 16 });
    assert_eq!(error.to_string(), "CRUSH rule 0 has a step of kind 16, which needs a newer ringbd");
    let error = map.map(1, 7, 2, &[0x1_0000; 4], -1, &mut Workspace::default()).unwrap_err();
    assert_eq!(error, MappingError::UnsupportedHash { bucket: -2, hash: 9 });
}

#[test]
fn what_newer_releases_add_is_left() {
    let map = map(parts());
    let mut bytes = Encoder::to_vec(|e| map.encode(e));
    bytes.extend_from_slice(&[100, 0, 0, 0, 100, 0, 0, 0]);
    assert_eq!(CrushMap::decode(&bytes), Ok(map));
}

#[test]
fn an_older_map_ends_earlier_and_means_the_oldest_tunables() {
    let map = map(parts());
    let bytes = Encoder::to_vec(|e| map.encode(e));
    // Without device classes (three lists) and choose args (one), and then without ever more tunables.
    let tunables = bytes.len() - 4 * 4 - 23;
    for (end, expected) in [
        (tunables, Tunables::LEGACY),
        (
            tunables + 12,
            Tunables {
                choose_local_tries: 0,
                choose_local_fallback_tries: 0,
                choose_total_tries: 50,
                ..Tunables::LEGACY
            },
        ),
        (tunables + 22, Tunables { chooseleaf_stable: 0, ..Tunables::JEWEL }),
        (tunables + 23, Tunables::JEWEL),
    ] {
        let old = CrushMap::decode(&bytes[..end]).unwrap();
        assert_eq!(old.parts().tunables, expected, "{end}");
    }
}

#[test]
fn numbers_that_the_map_is_too_short_for_are_refused() {
    let bytes = Encoder::to_vec(|e| map(parts()).encode(e));
    // The numbers of buckets and of rules, and the items of the first bucket.
    for at in [4, 8, 16 + 4 + 12] {
        for number in [u32::MAX, 0x7fff_ffff, 0x00ff_ffff] {
            let mut wrong = bytes.clone();
            wrong[at..at + 4].copy_from_slice(&number.to_le_bytes());
            let kind = CrushMap::decode(&wrong).unwrap_err().kind;
            assert!(
                matches!(kind, DecodeErrorKind::Invalid(_) | DecodeErrorKind::TooMany { .. }),
                "{at} {number:x}: {kind}"
            );
        }
    }
}

#[test]
fn random_maps_are_read_as_they_were_written() {
    for seed in 0..500 {
        let map = random_maps::crush_map(&mut Rng::with_seed(seed), 60);
        let bytes = Encoder::to_vec(|e| map.encode(e));
        assert_eq!(CrushMap::decode(&bytes).as_ref(), Ok(&map), "seed {seed}");
    }
}

#[test]
fn a_broken_map_is_refused_or_ends() {
    let mut mapped = 0;
    for seed in 0..3000 {
        let mut random = Rng::with_seed(seed);
        let map = random_maps::crush_map(&mut random, 30);
        let mut bytes = Encoder::to_vec(|e| map.encode(e));
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..bytes.len());
            match random.u8(0..4) {
                0 => bytes[at] ^= 1 << random.u8(0..8),
                1 => bytes[at] = random.u8(..),
                2 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let Ok(map) = CrushMap::decode(&bytes) else { continue };
        let items: usize = map.parts().buckets.iter().flatten().map(|bucket| bucket.items.len()).sum();
        assert!(items * 4 <= bytes.len() && map.parts().buckets.len() * 4 <= bytes.len());
        let mut workspace = Workspace::with_draws_max(50_000);
        for rule in 0..map.parts().rules.len() as u32 {
            for x in 0..4 {
                match map.map(rule, x, 5, &[0x1_0000; 30], 1, &mut workspace) {
                    Ok(osds) => assert!(osds.len() <= 5),
                    Err(MappingError::TooMuchWork { .. } | MappingError::UnsupportedStep { .. }) => {}
                    Err(MappingError::UnsupportedHash { .. }) => {}
                }
                mapped += 1;
            }
        }
    }
    assert!(mapped > 1000, "{mapped}");
}

//! Reading a CRUSH map as clusters publish it.

use super::{Algorithm, Bucket, ChooseArg, ChooseArgs, CrushMap, CrushParts, Rule, Step, Tunables};
use crate::codec::{DecodeError, Decoder};
use std::collections::BTreeMap;

/// What every CRUSH map begins with.
pub(super) const MAGIC: u32 = 0x0001_0000;

impl CrushMap {
    /// Reads the whole input. What follows the parts that are known belongs to a newer release and is left.
    pub fn decode(bytes: &[u8]) -> Result<CrushMap, DecodeError> {
        let mut d = Decoder::new("a CRUSH map", bytes);
        let parts = decode_parts(&mut d)?;
        CrushMap::new(parts).map_err(|error| d.invalid(error.why))
    }
}

fn decode_parts(d: &mut Decoder<'_>) -> Result<CrushParts, DecodeError> {
    if d.u32()? != MAGIC {
        return Err(d.invalid("not a CRUSH map"));
    }
    let (max_buckets, max_rules) = (d.i32()?, d.u32()?);
    // The highest device is found anew: this number is known to be wrong in old maps.
    d.i32()?;
    let max_buckets = usize::try_from(max_buckets).map_err(|_| d.invalid("a negative number of buckets"))?;
    let buckets = slots(d, max_buckets, decode_bucket)?;
    let rules = slots(d, max_rules as usize, |d, _| decode_rule(d))?;
    let mut parts = CrushParts {
        buckets,
        rules,
        type_names: decode_names(d)?,
        item_names: decode_names(d)?,
        rule_names: decode_names(d)?,
        tunables: decode_tunables(d)?,
        ..CrushParts::default()
    };
    if d.left() > 0 {
        parts.device_classes = d.map(8, Decoder::i32, Decoder::i32)?;
        parts.class_names = d.map(8, Decoder::i32, Decoder::label)?;
        parts.class_buckets = d.map(8, Decoder::i32, |d| d.map(8, Decoder::i32, Decoder::i32))?;
    }
    if d.left() > 0 {
        parts.choose_args = d.map(12, Decoder::i64, decode_choose_args)?;
        let CrushParts { choose_args, buckets, .. } = &mut parts;
        let exists = |slot: &u32| buckets.get(*slot as usize).is_some_and(Option::is_some);
        for args in choose_args.values_mut() {
            // A bucket's choose args outlive it in maps of old monitors.
            args.retain(|slot, _| exists(slot));
        }
    }
    Ok(parts)
}

/// So many slots, each of which begins with a word that is 0 when it is empty.
fn slots<'a, T>(
    d: &mut Decoder<'a>,
    count: usize,
    full: impl Fn(&mut Decoder<'a>, (usize, u32)) -> Result<T, DecodeError>,
) -> Result<Vec<Option<T>>, DecodeError> {
    if count > d.left() / 4 {
        return Err(d.invalid("more buckets or rules than it is long"));
    }
    let mut slots = Vec::with_capacity(count);
    for slot in 0..count {
        slots.push(match d.u32()? {
            0 => None,
            word => Some(full(d, (slot, word))?),
        });
    }
    Ok(slots)
}

fn decode_bucket(d: &mut Decoder<'_>, (slot, number): (usize, u32)) -> Result<Bucket, DecodeError> {
    let id = d.i32()?;
    if super::map::slot(id) != Some(slot) {
        return Err(d.invalid("a bucket in another's place"));
    }
    let type_id = d.u16()?;
    if u32::from(d.u8()?) != number {
        return Err(d.invalid("a bucket of two algorithms"));
    }
    let (hash, weight) = (d.u8()?, d.u32()?);
    let items = d.list(4, Decoder::i32)?;
    let algorithm = decode_algorithm(d, number, items.len())?;
    Ok(Bucket { type_id, hash, weight, items, algorithm })
}

fn decode_algorithm(d: &mut Decoder<'_>, number: u32, items: usize) -> Result<Algorithm, DecodeError> {
    let pairs = |d: &mut Decoder<'_>| -> Result<(Vec<u32>, Vec<u32>), DecodeError> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..items {
            first.push(d.u32()?);
            second.push(d.u32()?);
        }
        Ok((first, second))
    };
    let words = |d: &mut Decoder<'_>, n: usize| -> Result<Vec<u32>, DecodeError> {
        (0..n).map(|_| d.u32()).collect()
    };
    match number {
        1 => Ok(Algorithm::Uniform { item_weight: d.u32()? }),
        2 => pairs(d).map(|(weights, sums)| Algorithm::List { weights, sums }),
        3 => {
            let nodes = usize::from(d.u8()?);
            words(d, nodes).map(|nodes| Algorithm::Tree { nodes })
        }
        4 => pairs(d).map(|(weights, straws)| Algorithm::Straw { weights, straws }),
        5 => words(d, items).map(|weights| Algorithm::Straw2 { weights }),
        _ => Err(d.invalid("a bucket of an unknown algorithm")),
    }
}

fn decode_rule(d: &mut Decoder<'_>) -> Result<Rule, DecodeError> {
    let count = d.u32()? as usize;
    let [ruleset, pool_type, min_size, max_size] = d.array()?;
    if count > d.left() / 12 {
        return Err(d.invalid("a rule with more steps than the map is long"));
    }
    let mut steps = Vec::with_capacity(count);
    for _ in 0..count {
        steps.push(Step::from_numbers(d.u32()?, d.i32()?, d.i32()?));
    }
    Ok(Rule { ruleset, pool_type, min_size, max_size, steps })
}

fn decode_tunables(d: &mut Decoder<'_>) -> Result<Tunables, DecodeError> {
    let mut tunables = Tunables::LEGACY;
    if d.left() > 0 {
        tunables.choose_local_tries = d.u32()?;
        tunables.choose_local_fallback_tries = d.u32()?;
        tunables.choose_total_tries = d.u32()?;
    }
    if d.left() > 0 {
        tunables.chooseleaf_descend_once = d.u32()?;
    }
    if d.left() > 0 {
        tunables.chooseleaf_vary_r = d.u8()?;
    }
    if d.left() > 0 {
        tunables.straw_calc_version = d.u8()?;
    }
    if d.left() > 0 {
        tunables.allowed_bucket_algorithms = d.u32()?;
    }
    if d.left() > 0 {
        tunables.chooseleaf_stable = d.u8()?;
    }
    Ok(tunables)
}

fn decode_choose_args(d: &mut Decoder<'_>) -> Result<ChooseArgs, DecodeError> {
    d.map(12, Decoder::u32, |d| {
        let weight_sets = d.list(4, |d| d.list(4, Decoder::u32))?;
        Ok(ChooseArg { weight_sets, ids: d.list(4, Decoder::i32)? })
    })
}

/// Names by number. Some old monitors wrote numbers of 64 bits, whose upper half then looks like an empty name.
fn decode_names(d: &mut Decoder<'_>) -> Result<BTreeMap<i32, String>, DecodeError> {
    let mut names = d.map(8, Decoder::i32, |d| {
        let mut ahead = d.clone();
        if ahead.u32()? == 0 {
            *d = ahead;
        }
        d.label()
    })?;
    names.retain(|_, name| !name.is_empty());
    Ok(names)
}

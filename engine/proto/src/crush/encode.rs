//! Writing a CRUSH map as clusters since Luminous publish it. Clients never send one; a model of a cluster does.

use super::decode::MAGIC;
use super::map::bucket_id;
use super::{Algorithm, Bucket, ChooseArgs, CrushMap, Rule, Tunables};
use crate::codec::Encoder;
use std::collections::BTreeMap;

impl CrushMap {
    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        let parts = self.parts();
        e.u32(MAGIC).count(parts.buckets.len()).count(parts.rules.len()).i32(self.max_devices());
        for (slot, bucket) in parts.buckets.iter().enumerate() {
            match bucket {
                Some(bucket) => encode_bucket(e, bucket_id(slot), bucket),
                None => {
                    e.u32(0);
                }
            }
        }
        for rule in &parts.rules {
            match rule {
                Some(rule) => encode_rule(e, rule),
                None => {
                    e.u32(0);
                }
            }
        }
        for names in [&parts.type_names, &parts.item_names, &parts.rule_names] {
            encode_names(e, names);
        }
        encode_tunables(e, &parts.tunables);
        encode_pairs(e, &parts.device_classes);
        encode_names(e, &parts.class_names);
        e.list(parts.class_buckets.iter(), |e, (&bucket, shadows)| encode_pairs(e.i32(bucket), shadows));
        e.list(parts.choose_args.iter(), |e, (&pool, args)| encode_choose_args(e.i64(pool), args));
    }
}

fn encode_bucket(e: &mut Encoder<'_>, id: i32, bucket: &Bucket) {
    let algorithm = bucket.algorithm.number();
    e.u32(algorithm.into()).i32(id).u16(bucket.type_id).u8(algorithm).u8(bucket.hash).u32(bucket.weight);
    encode_ids(e, &bucket.items);
    match &bucket.algorithm {
        Algorithm::Uniform { item_weight } => {
            e.u32(*item_weight);
        }
        Algorithm::List { weights: first, sums: second }
        | Algorithm::Straw { weights: first, straws: second } => {
            for (&first, &second) in first.iter().zip(second) {
                e.u32(first).u32(second);
            }
        }
        Algorithm::Tree { nodes } => {
            e.u8(u8::try_from(nodes.len()).expect("a tree has 128 nodes or fewer in this format"));
            for &node in nodes {
                e.u32(node);
            }
        }
        Algorithm::Straw2 { weights } => {
            for &weight in weights {
                e.u32(weight);
            }
        }
    }
}

fn encode_rule(e: &mut Encoder<'_>, rule: &Rule) {
    e.u32(1).count(rule.steps.len());
    e.bytes(&[rule.ruleset, rule.pool_type, rule.min_size, rule.max_size]);
    for step in &rule.steps {
        let (op, arg1, arg2) = step.numbers();
        e.u32(op).i32(arg1).i32(arg2);
    }
}

fn encode_ids(e: &mut Encoder<'_>, ids: &[i32]) {
    e.list(ids.iter(), |e, &id| {
        e.i32(id);
    });
}

fn encode_pairs(e: &mut Encoder<'_>, pairs: &BTreeMap<i32, i32>) {
    e.list(pairs.iter(), |e, (&from, &to)| {
        e.i32(from).i32(to);
    });
}

fn encode_names(e: &mut Encoder<'_>, names: &BTreeMap<i32, String>) {
    e.list(names.iter(), |e, (&number, name)| {
        e.i32(number).string(name);
    });
}

fn encode_tunables(e: &mut Encoder<'_>, tunables: &Tunables) {
    e.u32(tunables.choose_local_tries).u32(tunables.choose_local_fallback_tries);
    e.u32(tunables.choose_total_tries).u32(tunables.chooseleaf_descend_once);
    e.u8(tunables.chooseleaf_vary_r).u8(tunables.straw_calc_version);
    e.u32(tunables.allowed_bucket_algorithms).u8(tunables.chooseleaf_stable);
}

fn encode_choose_args(e: &mut Encoder<'_>, args: &ChooseArgs) {
    e.list(args.iter(), |e, (&slot, arg)| {
        e.u32(slot).list(arg.weight_sets.iter(), |e, weights| {
            e.list(weights.iter(), |e, &weight| {
                e.u32(weight);
            });
        });
        encode_ids(e, &arg.ids);
    });
}

//! Random CRUSH maps.

use super::one_of;
use fastrand::Rng;
use ringbd_proto::crush::{
    Algorithm, Bucket, ChooseArg, ChooseArgs, ChooseOrder, CrushMap, CrushParts, Rule, Step, Tunables,
};
use std::collections::BTreeMap;

/// Types: an OSD is 0.
const HOST: i32 = 1;
const RACK: i32 = 2;
const ROOT: i32 = 3;

/// A map of up to `osds_max` OSDs in hosts, racks and one or two roots.
pub fn crush_map(random: &mut Rng, osds_max: i32) -> CrushMap {
    let mut map = Building { parts: CrushParts::default(), random };
    let osds = map.random.i32(1..=osds_max);
    let algorithms = map.algorithms();
    let mut hosts = map.level(HOST, &Vec::from_iter(0..osds), &algorithms);
    if map.random.bool() {
        // A host without OSDs, as one that is being set up.
        hosts.push(map.bucket(HOST, &[], 5));
    }
    let racks = map.level(RACK, &hosts, &algorithms);
    let roots: Vec<i32> = (0..map.random.usize(1..3)).map(|_| map.root(&racks, &algorithms)).collect();
    map.gap();
    map.class_shadows(&roots);
    map.choose_args();
    map.tunables();
    let roots = map.tops();
    for number in 0..map.random.usize(3..8) {
        let rule = map.rule(number, &roots);
        map.parts.rules.push(rule);
    }
    map.names(osds);
    CrushMap::new(map.parts).unwrap()
}

struct Building<'a> {
    parts: CrushParts,
    random: &'a mut Rng,
}

impl Building<'_> {
    /// The algorithms that a map uses: only straw2 as most do, only another, or all.
    fn algorithms(&mut self) -> Vec<u8> {
        let all = vec![1, 2, 3, 4, 5];
        let one = vec![self.random.u8(1..=5)];
        one_of(self.random, &[vec![5], one, all])
    }

    /// Distributes items over buckets of a type.
    fn level(&mut self, type_id: i32, items: &[i32], algorithms: &[u8]) -> Vec<i32> {
        let width = self.random.usize(1..=12);
        let chunks: Vec<Vec<i32>> = items.chunks(width).map(<[i32]>::to_vec).collect();
        chunks.iter().map(|items| self.any_bucket(type_id, items, algorithms)).collect()
    }

    fn root(&mut self, racks: &[i32], algorithms: &[u8]) -> i32 {
        let mut racks = racks.to_vec();
        self.random.shuffle(&mut racks);
        racks.truncate(self.random.usize(1..=racks.len()));
        self.any_bucket(ROOT, &racks, algorithms)
    }

    fn any_bucket(&mut self, type_id: i32, items: &[i32], algorithms: &[u8]) -> i32 {
        let algorithm = one_of(self.random, algorithms);
        self.bucket(type_id, items, algorithm)
    }

    fn weight(&mut self) -> u32 {
        match self.random.u8(0..8) {
            0 => 0,
            1 => self.random.u32(1..0x1_0000),
            2 => self.random.u32(0x1_0000..0x100_0000),
            _ => 0x1_0000,
        }
    }

    fn bucket(&mut self, type_id: i32, items: &[i32], algorithm: u8) -> i32 {
        let weights: Vec<u32> = items.iter().map(|_| self.weight()).collect();
        let sum: u32 = weights.iter().sum();
        let mut weight = sum;
        // A tree has room for 64 items in the format.
        let algorithm = match algorithm {
            1 => {
                let item_weight = self.weight();
                weight = item_weight * items.len() as u32;
                Algorithm::Uniform { item_weight }
            }
            2 => {
                let sums = weights.iter().scan(0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                });
                Algorithm::List { sums: sums.collect(), weights }
            }
            3 if items.len() <= 64 && sum > 0 => Algorithm::Tree { nodes: tree(&weights) },
            4 => {
                let straws = weights.iter().map(|weight| weight / 3 + 0x5000).collect();
                Algorithm::Straw { weights, straws }
            }
            _ => Algorithm::Straw2 { weights },
        };
        let (type_id, items) = (type_id as u16, items.to_vec());
        self.parts.buckets.push(Some(Bucket { type_id, hash: 0, weight, items, algorithm }));
        -(self.parts.buckets.len() as i32)
    }

    /// A bucket that was removed.
    fn gap(&mut self) {
        if self.random.bool() {
            self.parts.buckets.push(None);
        }
    }

    /// For a class of devices, the hierarchy of its devices alone.
    fn class_shadows(&mut self, roots: &[i32]) {
        if self.random.bool() {
            return;
        }
        self.parts.class_names = BTreeMap::from([(0, "hdd".into()), (1, "ssd".into())]);
        let devices: Vec<i32> = self
            .parts
            .buckets
            .iter()
            .flatten()
            .flat_map(|b| &b.items)
            .filter(|i| **i >= 0)
            .copied()
            .collect();
        for device in devices {
            let class = self.random.i32(0..2);
            self.parts.device_classes.insert(device, class);
        }
        for &root in roots {
            for class in 0..2 {
                self.shadow(root, class);
            }
        }
    }

    fn shadow(&mut self, bucket: i32, class: i32) -> i32 {
        if let Some(&shadow) = self.parts.class_buckets.get(&bucket).and_then(|shadows| shadows.get(&class)) {
            return shadow;
        }
        let slot = (-1 - bucket) as usize;
        let Bucket { type_id, items, .. } = self.parts.buckets[slot].clone().unwrap();
        let mut kept = Vec::new();
        for item in items {
            match item {
                ..0 => kept.push(self.shadow(item, class)),
                _ if self.parts.device_classes[&item] == class => kept.push(item),
                _ => {}
            }
        }
        let shadow = self.bucket(i32::from(type_id), &kept, 5);
        self.parts.class_buckets.entry(bucket).or_default().insert(class, shadow);
        shadow
    }

    /// All roots, those of classes too.
    fn tops(&self) -> Vec<i32> {
        let is_root = |bucket: &Option<Bucket>| bucket.as_ref().is_some_and(|b| i32::from(b.type_id) == ROOT);
        let buckets = self.parts.buckets.iter().enumerate();
        buckets.filter(|(_, bucket)| is_root(bucket)).map(|(slot, _)| -1 - slot as i32).collect()
    }

    fn choose_args(&mut self) {
        for pool in [-1, 0, 1, 2] {
            if self.random.u8(0..4) > 0 {
                continue;
            }
            let positions = self.random.usize(1..4);
            let mut args = ChooseArgs::new();
            for slot in 0..self.parts.buckets.len() {
                let Some(Bucket { items, algorithm: Algorithm::Straw2 { .. }, .. }) =
                    self.parts.buckets[slot].clone()
                else {
                    continue;
                };
                if items.is_empty() || self.random.u8(0..3) == 0 {
                    continue;
                }
                let mut arg = ChooseArg::default();
                for _ in 0..positions {
                    arg.weight_sets.push(items.iter().map(|_| self.weight()).collect());
                }
                if self.random.bool() {
                    arg.ids = items.iter().map(|_| self.random.i32(-1000..1000)).collect();
                }
                args.insert(slot as u32, arg);
            }
            self.parts.choose_args.insert(pool, args);
        }
    }

    fn tunables(&mut self) {
        let odd = Tunables {
            choose_local_tries: self.random.u32(0..4),
            choose_local_fallback_tries: self.random.u32(0..7),
            choose_total_tries: self.random.u32(0..60),
            chooseleaf_descend_once: self.random.u32(0..2),
            chooseleaf_vary_r: self.random.u8(0..5),
            chooseleaf_stable: self.random.u8(0..2),
            ..Tunables::JEWEL
        };
        self.parts.tunables = one_of(self.random, &[Tunables::JEWEL, Tunables::LEGACY, odd]);
    }

    fn rule(&mut self, number: usize, roots: &[i32]) -> Option<Rule> {
        if self.random.u8(0..10) == 0 {
            return None;
        }
        let order = one_of(self.random, &[ChooseOrder::Firstn, ChooseOrder::Indep]);
        let mut steps = Vec::new();
        for _ in 0..self.random.usize(0..3) {
            let n = self.random.i32(0..8);
            steps.push(match self.random.u8(0..6) {
                0 => Step::SetChooseTries(n * 9),
                1 => Step::SetChooseleafTries(n),
                2 => Step::SetChooseLocalTries(n),
                3 => Step::SetChooseLocalFallbackTries(n),
                4 => Step::SetChooseleafVaryR(n),
                _ => Step::SetChooseleafStable(n % 2),
            });
        }
        let choose = |order, leaf, count, type_id| Step::Choose { order, leaf, count, type_id };
        for _ in 0..self.random.usize(1..3) {
            steps.push(Step::Take(one_of(self.random, roots)));
            let count = self.random.i32(-1..4);
            match self.random.u8(0..6) {
                0 => steps.push(choose(order, false, count, 0)),
                1 | 2 => steps.push(choose(order, true, count, HOST)),
                3 => steps.push(choose(order, true, count, RACK)),
                4 => {
                    steps.push(choose(order, false, self.random.i32(1..4), RACK));
                    steps.push(choose(order, true, self.random.i32(1..4), HOST));
                }
                _ => {
                    steps.push(choose(order, false, self.random.i32(1..4), HOST));
                    steps.push(choose(order, false, self.random.i32(1..3), 0));
                }
            }
            steps.push(Step::Emit);
        }
        let pool_type = if order == ChooseOrder::Firstn { 1 } else { 3 };
        Some(Rule { ruleset: number as u8, pool_type, min_size: 1, max_size: 12, steps })
    }

    fn names(&mut self, osds: i32) {
        let types = [(0, "osd"), (HOST, "host"), (RACK, "rack"), (ROOT, "root")];
        self.parts.type_names = types.iter().map(|&(id, name)| (id, name.to_owned())).collect();
        let buckets = self.parts.buckets.iter().enumerate().filter(|(_, bucket)| bucket.is_some());
        let buckets = buckets.map(|(slot, _)| (-1 - slot as i32, format!("bucket{slot}")));
        self.parts.item_names = (0..osds).map(|osd| (osd, format!("osd.{osd}"))).chain(buckets).collect();
        let shadows: Vec<(i32, i32, i32)> = (self.parts.class_buckets.iter())
            .flat_map(|(&of, shadows)| shadows.iter().map(move |(&class, &shadow)| (of, class, shadow)))
            .collect();
        for (of, class, shadow) in shadows {
            let name = format!("{}~{}", self.parts.item_names[&of], self.parts.class_names[&class]);
            self.parts.item_names.insert(shadow, name);
        }
        let rules = self.parts.rules.iter().enumerate().filter(|(_, rule)| rule.is_some());
        self.parts.rule_names = rules.map(|(n, _)| (n as i32, format!("rule{n}"))).collect();
    }
}

/// The nodes of a tree over these weights: the item at `n` is node 2n+1, and each node weighs what is below it.
fn tree(weights: &[u32]) -> Vec<u32> {
    let leaves = weights.len().next_power_of_two().max(1);
    let mut nodes = vec![0; leaves * 2];
    for (n, weight) in weights.iter().enumerate() {
        nodes[2 * n + 1] = *weight;
    }
    let mut half = 1;
    while half < leaves {
        for node in (half * 2..nodes.len()).step_by(half * 4) {
            nodes[node] = nodes[node - half] + nodes[node + half];
        }
        half *= 2;
    }
    nodes
}

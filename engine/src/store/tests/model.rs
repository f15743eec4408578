//! Random operations against the plainest model there is: a vector of bytes for each object.

use proptest::prelude::*;
use ringbd_reactor::Durability;

use super::*;

const OBJECTS: u64 = 6;
const BYTES: usize = 16 << 10;

#[derive(Clone, Debug)]
enum Step {
    Write { object: u64, offset: usize, len: usize, byte: u8, durable: bool },
    Runs { object: u64, step: usize, len: usize, byte: u8 },
    Read { object: u64, offset: usize, len: usize },
    Zero { object: u64, offset: usize, len: usize },
    Discard { object: u64 },
    CompareAndWrite { object: u64, offset: usize, len: usize, byte: u8, equal: bool },
    Flush,
    Reopen,
    Resize { bytes: u64 },
}

fn extent() -> impl Strategy<Value = (usize, usize)> {
    // Half of them on sector bounds, as guests have them.
    let any = (0..BYTES).prop_flat_map(|offset| (Just(offset), 1..=BYTES - offset));
    let sectors = (0..BYTES / 512).prop_flat_map(|at| (Just(at * 512), 1..=BYTES / 512 - at));
    prop_oneof![any, sectors.prop_map(|(offset, sectors)| (offset, sectors * 512)), Just((0, BYTES))]
}

fn step() -> impl Strategy<Value = Step> {
    let object = 0..OBJECTS;
    let byte = 1u8..;
    prop_oneof![
        8 => (object.clone(), extent(), byte.clone(), any::<bool>()).prop_map(|(object, (offset, len), byte, durable)| {
            Step::Write { object, offset, len, byte, durable }
        }),
        2 => (object.clone(), 1usize..2000, 1usize..2000, byte.clone())
            .prop_map(|(object, step, len, byte)| Step::Runs { object, step, len: len.min(step), byte }),
        6 => (object.clone(), extent()).prop_map(|(object, (offset, len))| Step::Read { object, offset, len }),
        3 => (object.clone(), extent()).prop_map(|(object, (offset, len))| Step::Zero { object, offset, len }),
        2 => object.clone().prop_map(|object| Step::Discard { object }),
        2 => (object, extent(), byte, any::<bool>()).prop_map(|(object, (offset, len), byte, equal)| {
            Step::CompareAndWrite { object, offset, len, byte, equal }
        }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => (0..=OBJECTS * BYTES as u64).prop_map(|bytes| Step::Resize { bytes }),
    ]
}

/// The store and the model side by side.
struct Pair {
    place: Place,
    store: Store,
    objects: LocalObjects,
    model: Vec<Vec<u8>>,
}

impl Pair {
    fn new() -> Self {
        let place = Place::new();
        // Little enough that zones are used again and again.
        let options = CreateStore { data_bytes_max: Some(DATA_START + (1 << 20)), ..CreateStore::default() };
        let store = place.create(&options).unwrap();
        let options = CreateImage { order: 14, ..CreateImage::new(OBJECTS * BYTES as u64) };
        let image = create_image(&store, IMAGE, &options).unwrap();
        let objects = open_objects(&store, &image);
        Self { place, store, objects, model: vec![vec![0; BYTES]; OBJECTS as usize] }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Write { object, offset, len, byte, durable } => {
                let durability = if durable { Durability::Durable } else { Durability::Volatile };
                let (result, _) =
                    self.objects.write(ObjectNo(object), offset as u64, filled(byte, len), durability).await;
                result.unwrap();
                self.model[object as usize][offset..offset + len].fill(byte);
            }
            Step::Runs { object, step, len, byte } => {
                let starts: Vec<usize> = (0..BYTES - len).step_by(step).take(20).collect();
                let runs =
                    starts.iter().map(|&at| Run { offset: at as u64, buf: filled(byte, len) }).collect();
                self.objects.write_runs(ObjectNo(object), runs, Durability::Volatile).await.0.unwrap();
                starts.iter().for_each(|&at| self.model[object as usize][at..at + len].fill(byte));
            }
            Step::Read { object, offset, len } => {
                let got = read(&self.objects, object, offset as u64, len).await;
                assert!(
                    got == self.model[object as usize][offset..offset + len],
                    "object {object} at {offset}+{len}"
                );
            }
            Step::Zero { object, offset, len } => {
                self.objects.write_zeroes(ObjectNo(object), offset as u64, len as u64).await.unwrap();
                self.model[object as usize][offset..offset + len].fill(0);
            }
            Step::Discard { object } => {
                self.objects.discard(ObjectNo(object), 0, BYTES as u64).await.unwrap();
                self.model[object as usize].fill(0);
                assert!(!self.objects.is_allocated(ObjectNo(object)));
            }
            Step::CompareAndWrite { object, offset, len, byte, equal } => {
                self.compare_and_write(object, offset, len, byte, equal).await;
            }
            Step::Flush => self.objects.flush().await.unwrap(),
            Step::Reopen => self.reopen(),
            Step::Resize { bytes } => self.resize(bytes).await,
        }
    }

    async fn compare_and_write(&mut self, object: u64, offset: usize, len: usize, byte: u8, equal: bool) {
        let part = &mut self.model[object as usize][offset..offset + len];
        let mut expected = part.to_vec();
        if !equal {
            expected[len / 2] ^= 1;
        }
        let outcome = self
            .objects
            .compare_and_write(
                ObjectNo(object),
                offset as u64,
                &expected,
                filled(byte, len),
                Durability::Volatile,
            )
            .await;
        assert_eq!(outcome.0.unwrap(), (!equal).then_some(len / 2));
        if equal {
            part.fill(byte);
        }
    }

    /// Shrinks the open image and grows it back.
    async fn resize(&mut self, bytes: u64) {
        self.objects.truncate(bytes).await.unwrap();
        self.store.resize(IMAGE, bytes, &mut |_, _| {}).unwrap();
        self.store.resize(IMAGE, OBJECTS * BYTES as u64, &mut |_, _| {}).unwrap();
        let all = self.model.iter_mut().flatten();
        all.skip(bytes as usize).for_each(|byte| *byte = 0);
    }

    fn reopen(&mut self) {
        // The old handles must be gone before the lock can be taken again.
        let spare = Place::with_store();
        let spare_store = spare.open().unwrap();
        let options = CreateImage { order: 14, ..CreateImage::new(1) };
        let spare_image = create_image(&spare_store, IMAGE, &options).unwrap();
        self.objects = LocalObjects::new(&spare_store, &spare_image);
        self.store = spare_store;
        assert_eq!(self.place.fsck(false).unwrap().findings, []);
        self.store = self.place.open().unwrap();
        let image = self.store.image(IMAGE).unwrap();
        self.objects = open_objects(&self.store, &image);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn objects_hold_what_a_plain_vector_holds(steps in proptest::collection::vec(step(), 1..60)) {
        let mut core = World::real().lend_core(CoreConfig::default()).unwrap();
        let mut pair = Pair::new();
        for step in steps.into_iter().chain([Step::Reopen]) {
            core.block_on(pair.take(step));
        }
        for object in 0..OBJECTS {
            core.block_on(pair.take(Step::Read { object, offset: 0, len: BYTES }));
        }
        pair.store.shared.space().check();
    }
}

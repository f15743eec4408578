//! Operations in flight, found by an id that is never valid twice: slot and generation.

pub(super) struct Flights<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    generation: u32,
    flight: Option<T>,
}

impl<T> Flights<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Adds an operation: its slot and generation.
    pub(super) fn begin(&mut self, flight: T) -> (u32, u32) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, flight: None });
            self.slots.len() as u32 - 1
        });
        let entry = &mut self.slots[slot as usize];
        entry.flight = Some(flight);
        (slot, entry.generation)
    }

    /// Ends an operation. An id that is not in flight is a bug of the driver.
    pub(super) fn end(&mut self, slot: u32, generation: u32) -> T {
        let entry = &mut self.slots[slot as usize];
        assert_eq!(entry.generation, generation, "the operation has ended already");
        let flight = entry.flight.take().expect("the operation is in flight");
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        flight
    }

    /// The operation in a slot, and its generation.
    pub(super) fn at(&self, slot: u32) -> (&T, u32) {
        let entry = &self.slots[slot as usize];
        (entry.flight.as_ref().expect("the operation is in flight"), entry.generation)
    }

    pub(super) fn is_live(&self, slot: u32, generation: u32) -> bool {
        let entry = self.slots.get(slot as usize);
        entry.is_some_and(|entry| entry.generation == generation && entry.flight.is_some())
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> &mut T {
        self.slots[slot as usize].flight.as_mut().expect("the operation is in flight")
    }

    /// Everything in flight: slot, generation, operation.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| Some((slot as u32, entry.generation, entry.flight.as_ref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T>>() + self.free.capacity() * size_of::<u32>()
    }
}

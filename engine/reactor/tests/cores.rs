//! Cores on threads and lent ones: mailboxes between them, time, panics, helpers.

use ringbd_reactor::{
    Answerer, Asker, CoreConfig, LentCore, Receiver, Sender, WaitQueue, Watch, World, blocking, lane,
    mailbox, now, probe, rouse, sleep, sleep_until, spawn, spawn_detached, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn config(cpu: Option<usize>, spin: Duration) -> CoreConfig {
    CoreConfig { cpu, spin, pool_bytes: 0, ..CoreConfig::default() }
}

fn core() -> LentCore {
    World::real().lend_core(config(None, Duration::ZERO)).expect("io_uring works here")
}

#[test]
fn the_probe_speaks_one_line() {
    let found = probe().unwrap();
    assert!(found.kernel().starts_with(|c: char| c.is_ascii_digit()));
    assert!(!found.to_string().contains('\n'));
    println!("{found}");
}

async fn echo(mut from: Receiver<u64>, to: Sender<u64>) {
    while let Some(value) = from.recv().await {
        to.send(value + 1);
    }
}

#[test]
fn values_travel_between_two_pinned_cores_in_order() {
    let cpus = ringbd_reactor::allowed_cpus();
    let (first, second) = (cpus.first().copied(), cpus.last().copied());
    for spin in [Duration::ZERO, Duration::from_micros(50)] {
        let (to_b, at_b) = mailbox();
        let (to_a, mut at_a) = mailbox();
        let world = World::real();
        let b = world.start_core(config(second, spin), move || echo(at_b, to_a)).unwrap();
        let a = world
            .start_core(config(first, spin), move || async move {
                // One at a time, so that both sides sleep; then many at once.
                for value in 0..500 {
                    to_b.send(value);
                    assert_eq!(at_a.recv().await, Some(value + 1));
                }
                for value in 0..10_000 {
                    to_b.send(value);
                }
                for value in 0..10_000 {
                    assert_eq!(at_a.recv().await, Some(value + 1));
                }
                drop(to_b);
                assert_eq!(at_a.recv().await, None);
            })
            .unwrap();
        a.join().unwrap();
        b.join().unwrap();
    }
}

#[test]
fn foreign_threads_wake_a_sleeping_core() {
    let (send, mut receive) = mailbox();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let send = send.clone();
            std::thread::spawn(move || {
                for _ in 0..2000 {
                    send.send(1u64);
                    std::hint::black_box(());
                }
            })
        })
        .collect();
    drop(send);
    let sum = core().block_on(async {
        let mut sum = 0;
        while let Some(value) = receive.recv().await {
            sum += value;
        }
        assert!(receive.is_empty() && receive.try_recv().is_none());
        sum
    });
    assert_eq!(sum, 8000);
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn a_lent_core_parks_until_it_is_woken() {
    let mut core = core();
    let (send, mut receive) = mailbox::<u32>();
    let got = Rc::new(Cell::new(None));
    core.enter(|| {
        let got = Rc::clone(&got);
        spawn_detached(async move { got.set(receive.recv().await) });
    });
    while core.poll() {}
    let begun = Instant::now();
    core.park(Some(Duration::from_millis(30)));
    assert!(begun.elapsed() >= Duration::from_millis(29), "nothing came, so it slept for the whole limit");
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        send.send(4);
    });
    while got.get().is_none() {
        core.park(None);
    }
    assert_eq!(got.get(), Some(4));
    sender.join().unwrap();
}

#[test]
fn a_park_does_not_sleep_on_what_a_task_just_did() {
    let mut core = core();
    let done = Rc::new(Cell::new(false));
    core.enter(|| {
        let done = Rc::clone(&done);
        spawn_detached(async move { done.set(true) });
    });
    core.park(None);
    assert!(done.get());
}

#[test]
fn an_idle_core_costs_no_cpu() {
    fn cpu_time() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("proc is mounted");
        let nanos = stat.split(' ').next().and_then(|field| field.parse().ok());
        Duration::from_nanos(nanos.expect("the first field is the time on a CPU"))
    }
    let mut core = core();
    let before = cpu_time();
    core.block_on(sleep(Duration::from_millis(300)));
    assert!(cpu_time() - before < Duration::from_millis(20));
}

#[test]
fn timers_fire_in_order_and_not_early() {
    let order = Rc::new(RefCell::new(Vec::new()));
    core().block_on(async {
        let start = now();
        let tasks: Vec<_> = [30u64, 10, 20, 10, 0]
            .into_iter()
            .enumerate()
            .map(|(name, millis)| {
                let order = Rc::clone(&order);
                spawn(async move {
                    sleep_until(start + Duration::from_millis(millis)).await;
                    assert!(start.elapsed() >= Duration::from_millis(millis));
                    order.borrow_mut().push(name);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
    assert_eq!(*order.borrow(), [4, 1, 3, 2, 0]);
}

#[test]
fn time_limits() {
    core().block_on(async {
        assert_eq!(timeout(Duration::from_secs(60), async { 3 }).await, Ok(3));
        assert!(timeout(Duration::from_millis(5), std::future::pending::<()>()).await.is_err());
        assert_eq!(timeout(Duration::MAX, async { 4 }).await, Ok(4));
        let nested =
            timeout(Duration::from_secs(60), timeout(Duration::from_millis(5), sleep(Duration::MAX))).await;
        assert!(nested.unwrap().is_err());
    });
}

#[test]
fn waiting_tasks_are_woken_in_turn() {
    core().block_on(async {
        let (queue, order) = (Rc::new(WaitQueue::new()), Rc::new(RefCell::new(Vec::new())));
        let tasks: Vec<_> = (0..5)
            .map(|name| {
                let (queue, order) = (Rc::clone(&queue), Rc::clone(&order));
                spawn(async move {
                    queue.wait().await;
                    order.borrow_mut().push(name);
                })
            })
            .collect();
        yield_now().await;
        assert_eq!(queue.waiters(), 5);
        queue.wake_one();
        queue.wake_one();
        yield_now().await;
        assert_eq!(*order.borrow(), [0, 1]);
        queue.wake_all();
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_panic_ends_its_core_and_is_told() {
    let thread = World::real()
        .start_core(config(None, Duration::ZERO), || async {
            spawn_detached(async { panic!("of the task, number {}", 7) });
            sleep(Duration::from_secs(60)).await;
        })
        .unwrap();
    let error = thread.join().unwrap_err().to_string();
    assert_eq!(error, "a core panicked: of the task, number 7");
}

#[test]
fn a_core_knows_its_own_thread() {
    let (sender, mut receiver) = mailbox::<ringbd_reactor::CoreThread>();
    let (answer, answered) = std::sync::mpsc::channel();
    let thread = World::real()
        .start_core(config(None, Duration::ZERO), move || async move {
            let own = receiver.recv().await.unwrap();
            answer.send(own.is_current()).unwrap();
        })
        .unwrap();
    assert!(!thread.is_current());
    sender.send(thread);
    assert!(answered.recv().unwrap());
}

#[test]
fn tasks_left_are_dropped_when_main_returns() {
    struct Told(Arc<AtomicBool>);
    impl Drop for Told {
        fn drop(&mut self) {
            // The core is still the current one here.
            spawn_detached(async {});
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Told(Arc::clone(&dropped));
    let thread = World::real()
        .start_core(config(None, Duration::ZERO), || async move {
            spawn_detached(async move {
                let _told = told;
                std::future::pending::<()>().await;
            });
            yield_now().await;
        })
        .unwrap();
    thread.join().unwrap();
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn blocking_work_leaves_the_core_free() {
    core().block_on(async {
        let ticks = Rc::new(Cell::new(0));
        let counter = Rc::clone(&ticks);
        spawn_detached(async move {
            loop {
                sleep(Duration::from_millis(1)).await;
                counter.set(counter.get() + 1);
            }
        });
        let work = |millis| move || std::thread::sleep(Duration::from_millis(millis));
        let tasks: Vec<_> = (0..20).map(|_| spawn(blocking(work(20)))).collect();
        for task in tasks {
            task.await;
        }
        assert!(ticks.get() >= 5);
        assert_eq!(blocking(|| "done").await, "done");
    });
}

#[test]
fn a_panic_of_blocking_work_reaches_the_caller() {
    let mut core = core();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        core.block_on(blocking(|| panic!("in the helper")));
    }));
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "in the helper");
}

#[test]
fn a_finished_future_keeps_nobody_awake() {
    let mut core = core();
    let kept =
        core.block_on(async { std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await });
    core.enter(|| kept.wake_by_ref());
    let begun = Instant::now();
    core.park(Some(Duration::from_millis(30)));
    assert!(begun.elapsed() >= Duration::from_millis(29));
}

#[test]
fn a_park_may_be_as_long_as_one_likes() {
    let mut core = core();
    let (send, mut receive) = mailbox::<()>();
    let woken = Rc::new(Cell::new(false));
    core.enter(|| {
        let woken = Rc::clone(&woken);
        spawn_detached(async move {
            receive.recv().await;
            woken.set(true);
        });
    });
    while core.poll() {}
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        send.send(());
    });
    while !woken.get() {
        core.park(Some(Duration::MAX));
    }
    sender.join().unwrap();
}

/// One core's ends of the two lanes between it and another.
struct Ends {
    asker: Asker<u64>,
    answerer: Answerer<u64>,
}

/// Asks `count` values, up to `depth` at a time, and answers the other core's, until both are through. Sleeps whenever
/// there is nothing to do: a wake that gets lost is a test that hangs.
async fn ask_and_answer(ends: Ends, count: u64, depth: u32, mut seed: u64) {
    let ends = Rc::new(RefCell::new(ends));
    let watched = Rc::clone(&ends);
    let watch = Watch::new(move || {
        let ends = watched.borrow();
        ends.asker.has_answers() || ends.answerer.has_questions() || ends.answerer.has_news()
    });
    let (mut asked, mut back, mut answered) = (0, 0, 0);
    loop {
        {
            let Ends { asker, answerer } = &mut *ends.borrow_mut();
            while asked < count && asker.in_flight() < depth && asker.ask(asked).is_ok() {
                asked += 1;
            }
            answered += u64::from(answerer.answer(|value| *value = *value * 2 + 1));
            while let Some(value) = asker.take_back() {
                assert_eq!(value, back * 2 + 1, "in the order of asking, worked on once");
                back += 1;
            }
            asker.publish();
            rouse([asker].into_iter(), [answerer].into_iter());
        }
        if (back, answered) == (count, count) {
            return;
        }
        // Some of the time both sides meet awake, some of the time asleep or on their way to it.
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        for _ in 0..(seed >> 33) % 300 {
            std::hint::spin_loop();
        }
        if asked == count || ends.borrow().asker.in_flight() == depth {
            watch.seen().await;
        }
    }
}

#[test]
fn no_wake_is_lost_between_two_cores_with_lanes() {
    for (spin, depth, count) in
        [(0, 1, 3_000), (0, 7, 30_000), (20, 1, 10_000), (20, 64, 200_000), (2, 3, 20_000)]
    {
        let (to_b, at_b) = mailbox();
        let (to_a, at_a) = mailbox();
        let core = |cpu, to: Sender<Answerer<u64>>, mut at: Receiver<Answerer<u64>>| {
            let spin = Duration::from_micros(spin);
            World::real()
                .start_core(config(Some(cpu), spin), move || async move {
                    let (asker, answerer) = lane();
                    to.send(answerer);
                    let mut answerer = at.recv().await.unwrap();
                    answerer.settle();
                    ask_and_answer(Ends { asker, answerer }, count, depth, count + cpu as u64).await;
                })
                .unwrap()
        };
        let (a, b) = (core(0, to_b, at_a), core(1, to_a, at_b));
        a.join().unwrap();
        b.join().unwrap();
    }
}

#[test]
fn a_lane_that_changes_hands_wakes_its_new_owner() {
    // Asked of a core that has ended, while the heir settles the lane: whichever of the two is first, the heir hears of it.
    for round in 0..200 {
        let (to_heir, mut at_heir) = mailbox::<Answerer<u64>>();
        let heir = World::real()
            .start_core(config(Some(1), Duration::ZERO), move || async move {
                let mut answerer = at_heir.recv().await.unwrap();
                answerer.settle();
                let answerer = Rc::new(RefCell::new(answerer));
                let watched = Rc::clone(&answerer);
                Watch::new(move || watched.borrow().has_questions()).seen().await;
                let mut answerer = answerer.borrow_mut();
                assert_eq!(answerer.answer(|value| *value += 1), 1);
                rouse(std::iter::empty(), [&mut *answerer].into_iter());
            })
            .unwrap();
        let mut asking = core();
        let (mut asker, mut answerer) = asking.enter(lane);
        // The first owner settles, and ends.
        answerer = std::thread::spawn(move || {
            core().enter(|| answerer.settle());
            answerer
        })
        .join()
        .unwrap();
        to_heir.send(answerer);
        for _ in 0..round * 20 {
            std::hint::spin_loop();
        }
        asker.ask(round).unwrap();
        asker.publish();
        rouse([&mut asker].into_iter(), std::iter::empty());
        let back = asking.block_on(async move {
            let asker = Rc::new(RefCell::new(asker));
            let watched = Rc::clone(&asker);
            Watch::new(move || watched.borrow().has_answers()).seen().await;
            asker.borrow_mut().take_back()
        });
        assert_eq!(back, Some(round + 1));
        heir.join().unwrap();
    }
}

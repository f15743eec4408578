//! RAM stand-in.
use std::sync::{Arc, Mutex};
use std::time::Duration;
use crate::job::Failure;
use crate::target::{Target, WaitMode};

pub(crate) type ImageIndex = usize;
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Op { Read, Write, Discard, Flush }
pub(crate) struct Region { pub(crate) start: *mut u8, pub(crate) len: usize }
struct Ram { name: String, bytes: Mutex<Vec<u8>> }
static RAMS: Mutex<Vec<Arc<Ram>>> = Mutex::new(Vec::new());
pub(crate) struct Link { images: Vec<(Target, Arc<Ram>)>, done: Vec<(u64, Result<u64, i32>)>, wait: WaitMode, lent: bool }

fn mb() -> u64 { std::env::var("RINGBD_FIO_RAM_MB").ok().and_then(|v| v.parse().ok()).unwrap_or(64) << 20 }
pub(crate) fn image_size(t: &Target) -> Result<u64, Failure> {
    if t.image.contains("missing") { return Err(Failure { message: format!("open {}: not found", t.image), errno: libc::ENOENT }); }
    Ok(mb()) }
impl Link {
    pub(crate) fn new(wait: WaitMode, depth: usize) -> Link { Link { images: vec![], done: Vec::with_capacity(depth), wait, lent: false } }
    pub(crate) fn open(&mut self, t: &Target) -> Result<ImageIndex, Failure> {
        image_size(t)?;
        if let Some(i) = self.images.iter().position(|(x, _)| x == t) { return Ok(i); }
        let mut rams = RAMS.lock().unwrap_or_else(|e| e.into_inner());
        let ram = match rams.iter().find(|r| r.name == t.image) { Some(r) => r.clone(), None => { let r = Arc::new(Ram { name: t.image.clone(), bytes: Mutex::new(vec![0; mb() as usize]) }); rams.push(r.clone()); r } };
        self.images.push((t.clone(), ram)); Ok(self.images.len() - 1)
    }
    pub(crate) fn is_read_only(&self, i: ImageIndex) -> bool { self.images[i].0.snap.is_some() }
    pub(crate) fn name(&self, i: ImageIndex) -> String { self.images[i].0.image.clone() }
    pub(crate) fn size(&self, i: ImageIndex) -> u64 { self.images[i].1.bytes.lock().map(|b| b.len() as u64).unwrap_or(0) }
    pub(crate) fn set_buffers(&mut self, r: Region) { tracing::info!("buffers {:?}+{}", r.start, r.len); }
    pub(crate) fn lend(&mut self) -> Result<(), Failure> { if !self.lent { tracing::info!("lend {:?}", self.wait); self.lent = true; } Ok(()) }
    pub(crate) fn flush(&mut self, _: ImageIndex) -> Result<(), Failure> { tracing::info!("flush"); Ok(()) }
    pub(crate) fn invalidate(&mut self, _: ImageIndex) -> Result<(), Failure> { tracing::info!("invalidate"); Ok(()) }
    pub(crate) unsafe fn submit(&mut self, image: ImageIndex, op: Op, offset: u64, ptr: *mut u8, len: u64, token: u64) {
        let mut b = self.images[image].1.bytes.lock().unwrap_or_else(|e| e.into_inner());
        if op != Op::Flush && offset + len > b.len() as u64 { self.done.push((token, Err(libc::EINVAL))); return; }
        let (o, l) = (offset as usize, len as usize);
        // SAFETY: stand-in.
        unsafe { match op {
            Op::Read => std::ptr::copy_nonoverlapping(b[o..o + l].as_ptr(), ptr, l),
            Op::Write => { std::ptr::copy_nonoverlapping(ptr, b[o..o + l].as_mut_ptr(), l);
                if o == 1 << 20 && std::env::var_os("RINGBD_FIO_CORRUPT").is_some() { b[o + 100] ^= 1; } }
            Op::Discard => b[o..o + l].fill(0),
            Op::Flush => {}
        } }
        self.done.push((token, Ok(len)));
    }
    pub(crate) fn poll(&mut self) {}
    pub(crate) fn wait(&mut self, _: Option<Duration>) {}
    pub(crate) fn completions(&mut self) -> impl Iterator<Item = (u64, Result<u64, i32>)> { self.done.drain(..) }
    pub(crate) fn close(self) -> Result<(), Failure> { tracing::info!("close"); Ok(()) }
}

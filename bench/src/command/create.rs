//! `ringbd create`.

use ringbd::store::{CreateImage, Preallocate};

use crate::cli::Global;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

/// Create an empty image.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The image; its pool is made when there is none
    #[arg(value_name = "POOL/IMAGE")]
    image: String,
    /// Its size, like 10G; a bare number counts MiB
    #[arg(long, short, value_name = "SIZE", value_parser = crate::size::parse)]
    size: u64,
    #[command(flatten)]
    shape: Shape,
    /// Take all of its space now and write zeros to it, so that a first write costs no more than a later one
    #[arg(long)]
    thick_provision: bool,
}

/// What a new image is cut into.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Shape {
    /// The size of its objects, a power of two from 4K to 32M [default: 4M]
    #[arg(long, value_name = "SIZE", value_parser = object_order)]
    object_size: Option<u8>,
}

impl Shape {
    /// A new image of `size` bytes.
    pub(crate) fn image(&self, session: &Session, size: u64) -> CreateImage {
        let order = self.object_size.unwrap_or(session.settings.new_image().order);
        CreateImage { order, ..CreateImage::new(size) }
    }
}

impl Create {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::new(global, &self.image)?;
        session.refuse_snap("create")?;
        let store = session.open_or_create_store()?;
        let mut options = self.shape.image(&session, self.size);
        if self.thick_provision {
            options.preallocate = Preallocate::Write;
        }
        let bar = Progress::bytes(global.progress(), "Thick provisioning", self.size);
        let mut progress = |done: u64, all: u64| bar.set(share(self.size, done, all));
        store
            .create_image(session.name(), &options, &mut progress)
            .map_err(|error| Failure::of("create error", &error))?;
        bar.finish();
        Ok(())
    }
}

/// `done` of `all` steps, as bytes of `bytes`.
pub(super) fn share(bytes: u64, done: u64, all: u64) -> u64 {
    u64::try_from(u128::from(bytes) * u128::from(done) / u128::from(all.max(1))).unwrap_or(bytes)
}

fn object_order(text: &str) -> Result<u8, String> {
    let bytes = crate::size::parse(text)?;
    let order = bytes.checked_ilog2().and_then(|order| u8::try_from(order).ok());
    order
        .filter(|order| bytes.is_power_of_two() && (ringbd::ORDER_MIN..=ringbd::ORDER_MAX).contains(order))
        .ok_or_else(|| format!("an object size is a power of two from 4K to 32M, `{text}` is not"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_sizes() {
        assert_eq!(object_order("4M"), Ok(22));
        assert_eq!(object_order("4K"), Ok(12));
        for bad in ["3M", "2K", "64M", "0"] {
            assert!(object_order(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share(1 << 62, 1, 2), 1 << 61);
        assert_eq!(share(10, 0, 0), 0);
    }
}

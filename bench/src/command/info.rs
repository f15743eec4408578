//! `ringbd info`, in the layout of `rbd info`.

use std::fmt::Write as _;

use ringbd::config::FEATURES;
use ringbd::store::{ImageRecord, OpenMode};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::{Format, Global};
use crate::environment::utc;
use crate::failure::Failure;
use crate::session::Session;
use crate::size::human;

/// Show what an image is.
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// The image
    #[arg(value_name = "POOL/IMAGE")]
    image: String,
}

/// An image as `rbd info --format json` shows it, and how much of the store it takes.
#[derive(Debug, Serialize)]
struct ImageInfo {
    name: String,
    id: String,
    size: u64,
    objects: u64,
    order: u8,
    object_size: u64,
    snapshot_count: u64,
    block_name_prefix: String,
    format: u8,
    features: Vec<&'static str>,
    op_features: Vec<&'static str>,
    flags: Vec<&'static str>,
    create_timestamp: String,
    modify_timestamp: String,
    allocated: u64,
    thick: bool,
}

impl Info {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::new(global, &self.image)?;
        session.refuse_snap("info")?;
        let store = session.open_store(OpenMode::ReadOnly)?;
        let record = store.image(session.name()).map_err(|error| session.open_failure(&error))?;
        let allocated = store.allocated_bytes(&record).map_err(|error| session.open_failure(&error))?;
        let info = ImageInfo::of(&record, allocated);
        match global.format {
            Format::Json => print_json(&info),
            Format::Plain => print(&info.plain()),
        }
    }
}

impl ImageInfo {
    fn of(record: &ImageRecord, allocated: u64) -> ImageInfo {
        let id = id(record);
        let features = FEATURES.iter().filter(|(_, bit)| record.features & bit != 0);
        ImageInfo {
            name: record.name.clone(),
            size: record.size,
            objects: record.size.div_ceil(record.order.bytes()),
            order: record.order.bits(),
            object_size: record.order.bytes(),
            snapshot_count: 0,
            block_name_prefix: format!("rbd_data.{id}"),
            id,
            format: 2,
            features: features.map(|(name, _)| *name).collect(),
            op_features: vec![],
            flags: vec![],
            create_timestamp: utc(record.created_ns / 1_000_000_000),
            modify_timestamp: utc(record.modified_ns / 1_000_000_000),
            allocated,
            thick: record.thick,
        }
    }

    fn plain(&self) -> String {
        let mut text = format!("rbd image '{}':\n", self.name);
        let mut line = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "\t{line}").expect("writing to a String cannot fail");
        };
        line(format_args!("size {} in {} objects", human(self.size), self.objects));
        line(format_args!("order {} ({} objects)", self.order, human(self.object_size)));
        line(format_args!("snapshot_count: {}", self.snapshot_count));
        line(format_args!("id: {}", self.id));
        line(format_args!("block_name_prefix: {}", self.block_name_prefix));
        line(format_args!("format: {}", self.format));
        line(format_args!("features: {}", self.features.join(", ")));
        line(format_args!("op_features: {}", self.op_features.join(", ")));
        line(format_args!("flags: {}", self.flags.join(", ")));
        line(format_args!("create_timestamp: {}", self.create_timestamp));
        line(format_args!("modify_timestamp: {}", self.modify_timestamp));
        line(format_args!(
            "allocated: {}{}",
            human(self.allocated),
            if self.thick { ", thick-provisioned" } else { "" }
        ));
        text
    }
}

/// The image's id, in hexadecimal as RBD's are.
pub(super) fn id(record: &ImageRecord) -> String {
    format!("{:x}", record.id.0)
}

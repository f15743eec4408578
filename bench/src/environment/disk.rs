//! The disk and the file system under a path, from /proc/self/mountinfo and /sys.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A block device and what is mounted on it. Empty texts stand for what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disk {
    pub(crate) mount_point: String,
    pub(crate) filesystem: String,
    pub(crate) mount_options: String,
    /// The kernel's name of the whole disk, `nvme0n1`.
    pub(crate) device: String,
    pub(crate) model: String,
    pub(crate) scheduler: String,
    /// `write back` when the disk has a volatile cache.
    pub(crate) write_cache: String,
    pub(crate) rotational: Option<bool>,
    pub(crate) logical_block_bytes: Option<u64>,
    pub(crate) physical_block_bytes: Option<u64>,
}

impl Disk {
    /// The disk under `path`, or under the nearest of its parents that exists.
    pub(crate) fn under(path: &Path) -> Disk {
        let existing = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
        let mount_info = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let Some(mount) = Mount::of(&mount_info, &existing.unwrap_or_else(|| PathBuf::from("/"))) else {
            return Disk::default();
        };
        Disk::of_device(Path::new("/sys"), &mount)
    }

    fn of_device(sys: &Path, mount: &Mount) -> Disk {
        let mut disk = Disk {
            mount_point: mount.point.clone(),
            filesystem: mount.filesystem.clone(),
            mount_options: mount.options.clone(),
            ..Disk::default()
        };
        let Ok(mut device) = sys.join("dev/block").join(&mount.device_number).canonicalize() else {
            return disk;
        };
        // A partition's directory lies within that of its disk.
        if device.join("partition").exists() {
            device.pop();
        }
        let read = |name: &str| {
            fs::read_to_string(device.join(name)).map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        disk.device = device.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        disk.model = read("device/model");
        if disk.model.is_empty() && disk.device.starts_with("vd") {
            "virtio block device".clone_into(&mut disk.model);
        }
        let scheduler = read("queue/scheduler");
        // The one in use stands in brackets.
        disk.scheduler = scheduler
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map_or(scheduler.clone(), |(name, _)| name.to_owned());
        disk.write_cache = read("queue/write_cache");
        disk.rotational = read("queue/rotational").parse::<u8>().ok().map(|flag| flag == 1);
        disk.logical_block_bytes = read("queue/logical_block_size").parse().ok();
        disk.physical_block_bytes = read("queue/physical_block_size").parse().ok();
        disk
    }

    /// One line about the device.
    pub(crate) fn describe(&self) -> String {
        if self.device.is_empty() {
            return "no block device (a file system in memory or on a network)".to_owned();
        }
        let mut parts = vec![self.device.clone()];
        if !self.model.is_empty() {
            parts.push(self.model.clone());
        }
        if !self.scheduler.is_empty() {
            parts.push(format!("scheduler {}", self.scheduler));
        }
        if !self.write_cache.is_empty() {
            parts.push(format!("cache {}", self.write_cache));
        }
        match self.rotational {
            // Virtual disks often say so without turning.
            Some(true) => parts.push("says it rotates".to_owned()),
            Some(false) => parts.push("solid state".to_owned()),
            None => {}
        }
        if let (Some(logical), Some(physical)) = (self.logical_block_bytes, self.physical_block_bytes) {
            parts.push(format!("blocks {logical}/{physical} B"));
        }
        parts.join(", ")
    }

    /// One line about the file system.
    pub(crate) fn describe_filesystem(&self) -> String {
        if self.filesystem.is_empty() {
            return "unknown".to_owned();
        }
        format!("{} on {} ({})", self.filesystem, self.mount_point, self.mount_options)
    }
}

/// A line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device_number: String,
    point: String,
    options: String,
    filesystem: String,
}

impl Mount {
    /// The mount that holds `path`: the longest mount point that is a parent of it, the last of equals.
    fn of(mount_info: &str, path: &Path) -> Option<Mount> {
        mount_info
            .lines()
            .filter_map(Mount::parse)
            .filter(|mount| path.starts_with(&mount.point))
            .max_by_key(|mount| mount.point.len())
    }

    /// `id parent major:minor root point options … - type source super-options`.
    fn parse(line: &str) -> Option<Mount> {
        let (head, tail) = line.split_once(" - ")?;
        let fields: Vec<&str> = head.split(' ').collect();
        let mut tail = tail.split(' ');
        let filesystem = tail.next()?.to_owned();
        let super_options = tail.nth(1).unwrap_or_default();
        Some(Mount {
            device_number: (*fields.get(2)?).to_owned(),
            point: fields.get(4)?.replace("\\040", " "),
            options: format!("{},{super_options}", fields.get(5)?),
            filesystem,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNT_INFO: &str = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,discard\n\
        30 27 254:17 / /srv/my\\040data rw - xfs /dev/vdb1 rw,inode64\n";

    #[test]
    fn the_nearest_mount_wins() {
        let mount = Mount::of(MOUNT_INFO, Path::new("/srv/my data/store")).unwrap();
        assert_eq!((mount.device_number.as_str(), mount.filesystem.as_str()), ("254:17", "xfs"));
        assert_eq!(mount.options, "rw,rw,inode64");
        assert_eq!(Mount::of(MOUNT_INFO, Path::new("/srv")).unwrap().filesystem, "ext4");
        assert!(Mount::of("nonsense", Path::new("/")).is_none());
    }

    #[test]
    fn a_partition_leads_to_its_disk() {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("devices/vdb");
        fs::create_dir_all(disk.join("vdb1")).unwrap();
        fs::create_dir_all(disk.join("queue")).unwrap();
        fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        fs::write(disk.join("vdb1/partition"), "1\n").unwrap();
        fs::write(disk.join("queue/scheduler"), "none [mq-deadline] bfq\n").unwrap();
        fs::write(disk.join("queue/rotational"), "0\n").unwrap();
        std::os::unix::fs::symlink("../../devices/vdb/vdb1", sys.path().join("dev/block/254:17")).unwrap();
        let mount = Mount::of(MOUNT_INFO, Path::new("/srv/my data")).unwrap();
        let found = Disk::of_device(sys.path(), &mount);
        assert_eq!((found.device.as_str(), found.scheduler.as_str()), ("vdb", "mq-deadline"));
        assert_eq!(found.rotational, Some(false));
        assert!(found.describe().contains("virtio block device"));
    }
}

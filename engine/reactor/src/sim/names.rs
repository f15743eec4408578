//! The names of a simulated disk: which path is which file, now and after a power cut.
//!
//! A change of names is durable once the directory it happened in is synced. Until then a power cut keeps or
//! drops it whole (a rename is one change), with one tie that every file system keeps: a later change of the
//! same path does not outlive an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use super::fate::Fates;

/// Number of a file on its disk; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode(pub(super) u64);

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Dir,
    File(Inode),
}

type Names = BTreeMap<PathBuf, Entry>;

/// All names of one disk.
#[derive(Debug)]
pub(super) struct Directory {
    visible: Names,
    durable: Names,
    log: Vec<Renaming>,
}

/// One change: every path is bound to its new meaning, or unbound.
#[derive(Clone, Debug)]
struct Renaming {
    seq: u64,
    binds: Vec<(PathBuf, Option<Entry>)>,
}

impl Renaming {
    fn touches(&self, paths: &BTreeSet<PathBuf>) -> bool {
        self.binds.iter().any(|(path, _)| paths.contains(path))
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.binds.iter().map(|(path, _)| path.clone())
    }

    fn apply(&self, names: &mut Names) {
        for (path, entry) in &self.binds {
            match entry {
                Some(entry) => names.insert(path.clone(), *entry),
                None => names.remove(path),
            };
        }
    }
}

impl Directory {
    /// A disk with nothing but its root.
    pub(super) fn new() -> Directory {
        let root: Names = [(PathBuf::from("/"), Entry::Dir)].into();
        Directory { visible: root.clone(), durable: root, log: Vec::new() }
    }

    /// What `path` names.
    pub(super) fn entry(&self, path: &Path) -> Option<Entry> {
        self.visible.get(&absolute(path)).copied()
    }

    /// The file that `path` names, or the error that opening it gives.
    pub(super) fn file(&self, path: &Path) -> io::Result<Inode> {
        match self.entry(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Dir) => Err(named(ErrorKind::IsADirectory, path, "is a directory")),
            None => Err(named(ErrorKind::NotFound, path, "does not exist")),
        }
    }

    /// Whether a file or directory could be made at `path`.
    pub(super) fn check_parent(&self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        match path.parent().map(|parent| self.visible.get(parent)) {
            Some(Some(Entry::Dir)) => Ok(()),
            Some(Some(Entry::File(_))) => Err(named(ErrorKind::NotADirectory, &path, "lies in a file")),
            Some(None) => Err(named(ErrorKind::NotFound, &path, "lies in a directory that does not exist")),
            None => Err(named(ErrorKind::AlreadyExists, &path, "is the root")),
        }
    }

    /// Binds `path`, whose parent exists.
    pub(super) fn bind(&mut self, seq: u64, path: &Path, entry: Entry) {
        self.change(seq, vec![(absolute(path), Some(entry))]);
    }

    /// Unbinds the file at `path` and returns it.
    pub(super) fn unlink(&mut self, seq: u64, path: &Path) -> io::Result<Inode> {
        let inode = self.file(path)?;
        self.change(seq, vec![(absolute(path), None)]);
        Ok(inode)
    }

    /// Moves the file at `from` to `to`; returns the file that was there before.
    pub(super) fn rename(&mut self, seq: u64, from: &Path, to: &Path) -> io::Result<Option<Inode>> {
        let inode = self.file(from)?;
        self.check_parent(to)?;
        let replaced = match self.entry(to) {
            Some(Entry::Dir) => return Err(named(ErrorKind::IsADirectory, to, "is a directory")),
            Some(Entry::File(old)) if old == inode => return Ok(None),
            Some(Entry::File(old)) => Some(old),
            None => None,
        };
        self.change(seq, vec![(absolute(from), None), (absolute(to), Some(Entry::File(inode)))]);
        Ok(replaced)
    }

    /// Makes the changes in the directory `path` durable that happened before `upto`.
    pub(super) fn sync(&mut self, path: &Path, upto: u64) -> io::Result<()> {
        let dir = absolute(path);
        if self.entry(&dir) != Some(Entry::Dir) {
            return Err(named(ErrorKind::NotFound, &dir, "is not a directory"));
        }
        // Backwards, so that whatever a durable change stands on becomes durable with it.
        let mut paths = BTreeSet::new();
        let mut durable = vec![false; self.log.len()];
        for (at, change) in self.log.iter().enumerate().rev() {
            let here = change.seq < upto && change.binds.iter().any(|(path, _)| path.parent() == Some(&*dir));
            if here || change.touches(&paths) {
                durable[at] = true;
                paths.extend(change.paths());
            }
        }
        let mut durable = durable.into_iter();
        let names = &mut self.durable;
        self.log.retain(|change| {
            let durable = durable.next().expect("one flag per change");
            if durable {
                change.apply(names);
            }
            !durable
        });
        Ok(())
    }

    /// The power fails: what is not durable is kept or dropped.
    pub(super) fn power_cut(&mut self, fates: &mut Fates<'_>) {
        let mut broken = BTreeSet::new();
        for change in self.log.drain(..) {
            if !change.touches(&broken) && fates.keeps(change.seq) {
                change.apply(&mut self.durable);
            } else {
                broken.extend(change.paths());
            }
        }
        // What lies in a directory that was lost is lost with it; parents sort before what they hold.
        let mut left = Names::new();
        for (path, entry) in std::mem::take(&mut self.durable) {
            if path.parent().is_none_or(|parent| left.get(parent) == Some(&Entry::Dir)) {
                left.insert(path, entry);
            }
        }
        self.visible = left.clone();
        self.durable = left;
    }

    /// Sequence numbers of the changes that are not durable.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = u64> {
        self.log.iter().map(|change| change.seq)
    }

    /// Every file that has a name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, Inode)> {
        self.visible.iter().filter_map(|(path, entry)| match entry {
            Entry::File(inode) => Some((&**path, *inode)),
            Entry::Dir => None,
        })
    }

    fn change(&mut self, seq: u64, binds: Vec<(PathBuf, Option<Entry>)>) {
        let change = Renaming { seq, binds };
        change.apply(&mut self.visible);
        self.log.push(change);
    }
}

/// `path` from the root on, without `.` and `..`. A simulated node's working directory is its root.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut absolute = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir => drop(absolute.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    absolute
}

fn named(kind: ErrorKind, path: &Path, what: &str) -> io::Error {
    io::Error::new(kind, format!("{} {what} (simulated disk)", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fate::CutStyle;

    fn paths(directory: &Directory) -> Vec<(String, u64)> {
        directory.files().map(|(path, inode)| (path.display().to_string(), inode.0)).collect()
    }

    /// Every outcome of a power cut that random fates reach.
    fn outcomes(directory: impl Fn() -> Directory) -> BTreeSet<Vec<(String, u64)>> {
        let mut seen = BTreeSet::new();
        for seed in 0..500 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut directory = directory();
            directory.power_cut(&mut Fates::new(CutStyle::Independent { keep: 0.5, tear: 0.0 }, &mut rng));
            seen.insert(paths(&directory));
        }
        seen
    }

    fn names(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        list.iter().map(|&(path, inode)| (path.to_string(), inode)).collect()
    }

    #[test]
    fn a_replacing_rename_is_old_or_new_and_never_nothing() {
        let old_then_rename = || {
            let mut directory = Directory::new();
            directory.bind(1, Path::new("a"), Entry::File(Inode(1)));
            directory.sync(Path::new("/"), 2).unwrap();
            directory.bind(2, Path::new("tmp"), Entry::File(Inode(2)));
            assert_eq!(directory.rename(3, Path::new("tmp"), Path::new("a")).unwrap(), Some(Inode(1)));
            directory
        };
        let both = names(&[("/a", 1), ("/tmp", 2)]);
        let expected: BTreeSet<_> = [names(&[("/a", 1)]), both, names(&[("/a", 2)])].into();
        assert_eq!(outcomes(old_then_rename), expected);
        let synced = || {
            let mut directory = old_then_rename();
            directory.sync(Path::new("/"), 4).unwrap();
            directory
        };
        assert_eq!(outcomes(synced), [names(&[("/a", 2)])].into());
    }

    #[test]
    fn a_sync_covers_what_happened_before_it_and_what_that_stands_on() {
        let mut directory = Directory::new();
        directory.bind(1, Path::new("d"), Entry::Dir);
        directory.bind(2, Path::new("x"), Entry::File(Inode(1)));
        directory.rename(3, Path::new("x"), Path::new("d/x")).unwrap();
        directory.bind(4, Path::new("d/y"), Entry::File(Inode(2)));
        directory.sync(Path::new("d"), 4).unwrap();
        assert_eq!(
            directory.unsynced().collect::<Vec<_>>(),
            [1, 4],
            "the creation of x is covered by its rename"
        );
        directory.sync(Path::new("/"), 5).unwrap();
        assert_eq!(directory.unsynced().collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_lost_directory_takes_its_files_along() {
        let made = || {
            let mut directory = Directory::new();
            directory.bind(1, Path::new("d"), Entry::Dir);
            directory.bind(2, Path::new("d/x"), Entry::File(Inode(1)));
            directory.sync(Path::new("d"), 3).unwrap();
            directory
        };
        assert_eq!(outcomes(made), [names(&[]), names(&[("/d/x", 1)])].into());
    }

    #[test]
    fn errors_name_the_path() {
        let mut directory = Directory::new();
        let error = directory.unlink(1, Path::new("gone")).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("gone")), (ErrorKind::NotFound, true));
        assert_eq!(directory.check_parent(Path::new("no/file")).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(absolute(Path::new("a/./b/../c")), Path::new("/a/c"));
    }
}

//! `ringbd osdmap`: what an OSD map in a file says, and where it places data.

use std::path::PathBuf;

use ringbd_proto::osdmap::OsdMap;
use ringbd_proto::types::PoolId;

use super::print;
use crate::cli::{Format, Global};
use crate::failure::Failure;
use crate::osdmap::{Dump, map_lines, object_line, pg_lines};

/// The pool of an object when none is given.
const DEFAULT_POOL: i64 = 1;

/// Show an OSD map (`ceph osd getmap -o FILE`), or where it places data, in the lines of osdmaptool.
#[derive(Debug, clap::Args)]
pub(crate) struct Osdmap {
    /// The map
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show who serves each placement group
    #[arg(long)]
    test_map_pgs_dump: bool,
    /// Show who CRUSH says, who should serve, and who serves each placement group
    #[arg(long, conflicts_with = "test_map_pgs_dump")]
    test_map_pgs_dump_all: bool,
    /// Show where an object is
    #[arg(long, value_name = "NAME")]
    test_map_object: Option<String>,
    /// The pool
    #[arg(long, value_name = "NUMBER")]
    pool: Option<i64>,
    /// The object's namespace
    #[arg(long, value_name = "NAME", default_value = "", requires = "test_map_object")]
    namespace: String,
}

impl Osdmap {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        if global.format == Format::Json {
            return Err(Failure::invalid("the lines of osdmaptool are not JSON; leave --format away"));
        }
        let file = self.file.display();
        let bytes = std::fs::read(&self.file)
            .map_err(|error| Failure::of_io(format_args!("cannot read `{file}`"), &error))?;
        let map = OsdMap::decode(&bytes)
            .map_err(|error| Failure::invalid(format!("`{file}` is not an OSD map: {error}")))?;
        let pool = self.pool.map(PoolId);
        if let Some(pool) = pool.filter(|pool| map.pool(*pool).is_none()) {
            return Err(Failure::new(1, format!("There is no pool {pool}")));
        }
        if let Some(name) = &self.test_map_object {
            if pool.is_none() {
                eprintln!("ringbd: assuming pool {DEFAULT_POOL} (use --pool to override)");
            }
            let pool = pool.unwrap_or(PoolId(DEFAULT_POOL));
            let line = object_line(&map, pool, &self.namespace, name);
            print(&line.map_err(|error| Failure::new(1, error.to_string()))?)?;
        }
        let dump = match (self.test_map_pgs_dump, self.test_map_pgs_dump_all) {
            (_, true) => Some(Dump::All),
            (true, false) => Some(Dump::Acting),
            (false, false) => None,
        };
        if let Some(dump) = dump {
            let lines = pg_lines(&map, pool, dump);
            print(&lines.map_err(|error| Failure::new(1, error.to_string()))?)?;
        }
        if dump.is_none() && self.test_map_object.is_none() {
            print(&map_lines(&map))?;
        }
        Ok(())
    }
}

//! An image's metadata: entries that people and programs make, of which some are options of the image.

use super::call::{all_pages, call, is_missing, op};
use super::error::{RbdErrorKind, Result};
use super::image::RbdImage;
use super::names;
use super::pool::ImagePool;
use crate::config::Settings;
use crate::rados::OpError;
use ringbd_proto::rbd::header;

/// Entries asked for at once, as librbd does.
const PAGE: u64 = 64;
/// What the names of entries begin with that are options.
const OPTION: &str = "conf_";

impl RbdImage {
    /// All entries, by key.
    pub async fn metadata(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let object = self.header_object();
        let all = all_pages(self.io(), &object, PAGE, header::metadata_list).await;
        all.map_err(|error| self.failed("list metadata of", error))
    }

    /// The value of an entry.
    ///
    /// # Errors
    /// There is none.
    pub async fn metadata_value(&self, key: &str) -> Result<Vec<u8>> {
        let value = call(self.io(), &self.header_object(), &header::metadata_get(key)).await;
        value.map_err(|error| match is_missing(&error) {
            true => self.error("get metadata of", RbdErrorKind::NoMetadata(key.to_owned())),
            false => self.failed("get metadata of", error),
        })
    }

    /// Sets an entry.
    pub async fn set_metadata(&self, key: &str, value: &[u8]) -> Result<()> {
        const SET: &str = "set metadata of";
        self.check_changeable(SET)?;
        let entry = [(key, value)];
        self.change_header(SET, &[op(&header::metadata_set(entry.into_iter()))]).await
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// There is none.
    pub async fn remove_metadata(&self, key: &str) -> Result<()> {
        const REMOVE: &str = "remove metadata of";
        self.check_changeable(REMOVE)?;
        self.metadata_value(key).await?;
        self.change_header(REMOVE, &[op(&header::metadata_remove(key))]).await
    }

    /// The settings with the options that the image's metadata and its pool's have, which win over all others.
    pub async fn settings(&self, settings: &Settings) -> Result<Settings> {
        let image = options(self.metadata().await?);
        let pool = options(self.pool.metadata().await.map_err(|error| self.failed("open image", error))?);
        Ok(settings.with_metadata(
            pool.iter().map(|(key, value)| (key.as_str(), value.as_str())),
            image.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        ))
    }
}

impl ImagePool {
    /// The pool's own metadata, which holds in all its namespaces.
    async fn metadata(&self) -> std::result::Result<Vec<(String, Vec<u8>)>, OpError> {
        let io = self.io.clone().with_namespace(b"");
        all_pages(&io, names::POOL_INFO, PAGE, header::metadata_list).await
    }
}

/// The entries that are options. A value that is no text cannot be one.
fn options(entries: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    let text = |(key, value): (String, Vec<u8>)| Some((key, String::from_utf8(value).ok()?));
    entries.into_iter().filter(|(key, _)| key.starts_with(OPTION)).filter_map(text).collect()
}

//! Pieces kept in the origin's private file system: `swarmreel/<info hash>/` with `data` (the content, sparse while
//! incomplete), `info` (the info dictionary) and `have` (the bitfield, BEP 3 layout).
//!
//! Invariant: `have` is written only after `data` has been flushed. It is a hint nonetheless: the engine hashes what
//! it claims.

use swarmreel::ids::InfoHash;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DedicatedWorkerGlobalScope, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle,
};

use super::{Opened, Store, StoreError};

/// The folder of all torrents.
const ROOT: &str = "swarmreel";
/// An `info` or `have` beyond this is not ours, bytes (threat-model §1: metadata).
const SMALL_FILE_MAX: u64 = 8 << 20;

/// The open files of one torrent.
pub(crate) struct Opfs {
    info_hash: InfoHash,
    data: Handle,
    info: Handle,
    have: Handle,
    piece_length: u32,
    /// The bitfield as it will be saved.
    bits: Vec<u8>,
    unsaved: bool,
    used: bool,
}

/// A file that no one else can open until this is dropped.
struct Handle(FileSystemSyncAccessHandle);

/// Opens the files of a torrent, making them if need be. Fails where the browser has no such files, does not let this
/// page use them, or another tab has them open.
pub(super) async fn open(info_hash: InfoHash) -> Result<Opened, JsValue> {
    let folder = folder(&root().await?, &info_hash.to_hex()).await?;
    let (data, info, have) = (
        Handle::open(&folder, "data").await?,
        Handle::open(&folder, "info").await?,
        Handle::open(&folder, "have").await?,
    );
    let (stored_info, stored_have) = (info.read_all(), have.read_all());
    let store = Store::Opfs(Opfs {
        info_hash,
        data,
        info,
        have,
        piece_length: 0,
        bits: stored_have.clone().unwrap_or_default(),
        unsaved: false,
        used: stored_info.is_some(),
    });
    Ok(Opened { store, info: stored_info, have: stored_have, fell_back: false })
}

/// Deletes what is stored of a torrent. Another tab's open files stay.
pub(super) async fn delete(info_hash: InfoHash) {
    if let Ok(root) = root().await {
        let options = FileSystemRemoveOptions::new();
        options.set_recursive(true);
        let _ = JsFuture::from(root.remove_entry_with_options(&info_hash.to_hex(), &options)).await;
    }
}

impl Opfs {
    /// Which torrent's.
    pub(super) fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Whether nothing worth keeping has been stored.
    pub(super) fn is_unused(&self) -> bool {
        !self.used
    }

    /// Stores the info dictionary, and fits the bitfield to the torrent.
    pub(super) fn size(&mut self, info: &[u8], length: u64, piece_length: u32) {
        self.piece_length = piece_length;
        let pieces = length.div_ceil(u64::from(piece_length.max(1)));
        self.bits.resize(usize::try_from(pieces.div_ceil(8)).unwrap_or(0), 0);
        // Room for all of it is asked for once: each growing write would ask the browser anew. Without room for all,
        // what fits is written as it comes.
        if self.data.0.get_size().is_ok_and(|size| size < length as f64) {
            let _ = self.data.0.truncate_with_f64(length as f64);
        }
        // A failure here costs the next session a metadata exchange, no more.
        let _ = self.info.0.truncate_with_f64(info.len() as f64);
        self.used = self.info.write_at(0, info).is_ok();
    }

    /// Writes a piece.
    pub(super) fn put(&mut self, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let byte = self.bits.get_mut(piece as usize / 8).ok_or(StoreError)?;
        self.data.write_at(u64::from(piece) * u64::from(self.piece_length), bytes)?;
        *byte |= 0x80 >> (piece % 8);
        self.unsaved = true;
        Ok(())
    }

    /// Reads content.
    pub(super) fn load(&self, offset: u64, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.data.read_at(offset, bytes)
    }

    /// Makes what was written last.
    pub(super) fn save(&mut self) {
        if std::mem::take(&mut self.unsaved) && self.data.0.flush().is_ok() {
            let _ = self.have.write_at(0, &self.bits);
            let _ = self.have.0.flush();
        }
    }
}

impl Drop for Opfs {
    fn drop(&mut self) {
        self.save();
    }
}

impl Handle {
    async fn open(folder: &FileSystemDirectoryHandle, name: &str) -> Result<Self, JsValue> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let file = JsFuture::from(folder.get_file_handle_with_options(name, &options)).await?;
        let file: FileSystemFileHandle = file.unchecked_into();
        let handle = JsFuture::from(file.create_sync_access_handle()).await?;
        Ok(Self(handle.unchecked_into()))
    }

    /// A small file's content; `None` if it is empty, too big to be ours, or unreadable.
    fn read_all(&self) -> Option<Vec<u8>> {
        let size = self.0.get_size().ok()? as u64;
        if size == 0 || size > SMALL_FILE_MAX {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.read_at(0, &mut bytes).ok()?;
        Some(bytes)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), StoreError> {
        let read = self.0.read_with_u8_array_and_options(bytes, &at(offset)).map_err(|_| StoreError)?;
        if read as usize == bytes.len() { Ok(()) } else { Err(StoreError) }
    }

    /// Writes all of `bytes`: the browser may take fewer at a time (threat-model D6).
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut done = 0;
        while done < bytes.len() {
            let options = at(offset + done as u64);
            let taken = self.0.write_with_u8_array_and_options(&bytes[done..], &options).map_err(|_| StoreError)?;
            if taken <= 0.0 {
                return Err(StoreError);
            }
            done += taken as usize;
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(offset as f64);
    options
}

async fn root() -> Result<FileSystemDirectoryHandle, JsValue> {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // Neither exists on an insecure origin.
    if !js_sys::Reflect::has(&scope, &"FileSystemSyncAccessHandle".into())?
        || !js_sys::Reflect::has(&scope.navigator(), &"storage".into())?
    {
        return Err("no private file system".into());
    }
    let origin = JsFuture::from(scope.navigator().storage().get_directory()).await?;
    folder(&origin.unchecked_into(), ROOT).await
}

async fn folder(parent: &FileSystemDirectoryHandle, name: &str) -> Result<FileSystemDirectoryHandle, JsValue> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    let folder = JsFuture::from(parent.get_directory_handle_with_options(name, &options)).await?;
    Ok(folder.unchecked_into())
}

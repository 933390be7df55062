//! Containers that others run: found by their labels, and files exchanged with a folder inside.
//!
//! Transfers content as archives and renames files by one `sh`. Knows neither the platform's labels
//! nor the files' meaning, and never starts, stops or changes a container of others but by
//! [`DockerEngine::remove_container`] and [`DockerEngine::restart`].

use std::{collections::HashMap, io::Read as _, time::Duration};

use bollard::{
    body_full,
    container::LogOutput,
    errors::Error as DockerApiError,
    exec::{CreateExecOptions, StartExecResults},
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    },
};
use futures_util::StreamExt as _;

use crate::Error;
use crate::archives::tar_entries::TarReader;
use crate::daemon::printable;
use crate::docker::{
    DockerEngine,
    container::{self, StartedContainer},
    container_info::{ContainerInfo, describe},
    engine::api_error,
};

/// The most bytes of one file that is taken out of a container.
const FILE_LIMIT: usize = 64 * 1024 * 1024;
/// The most bytes that are kept of a program's output.
const OUTPUT_LIMIT: usize = 1024 * 1024;
/// The longest time that a program inside may take.
const EXEC: Duration = Duration::from_secs(30);

/// Moves pairs of names below a folder, then removes what earlier runs left of the same files.
/// Not every `sync` knows files.
const MOVE: &str = "\
cd \"$1\" && shift || exit 1
sync \"$@\" 2>/dev/null
from=
for name do
  if [ -z \"$from\" ]; then from=$name
  else mv -f \"$from\" \"$name\" || exit 1; from=; fi
done
for name do
  case $name in .*.tmp) ;; *) rm -f .\"$name\".*.tmp ;; esac
done";

/// A file of a folder inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInside {
    pub name: String,
    pub content: Vec<u8>,
    /// Seconds since 1970.
    pub mtime: u64,
    pub owner: (u64, u64),
}

/// A file to replace atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    pub file: FileInside,
    pub mode: u32,
}

/// See [`DockerEngine::helper_container`]. It is removed by [`HelperContainer::end`], and when it is dropped.
pub struct HelperContainer {
    running: StartedContainer,
}

impl HelperContainer {
    /// Its id, for what works inside a running container.
    pub fn id(&self) -> &str {
        &self.running.id
    }

    /// Removes it.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn end(mut self) -> Result<(), Error> {
        self.running.remove().await
    }
}

impl std::fmt::Debug for HelperContainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HelperContainer").field(&self.running.id).finish()
    }
}

impl DockerEngine {
    /// All containers that carry the labels, running or not, by name.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn containers(
        &self,
        labels: &[(String, String)],
    ) -> Result<Vec<ContainerInfo>, Error> {
        let wanted: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("label".to_owned(), wanted)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self.docker().list_containers(Some(options)).await;
        let listed = listed.map_err(api_error("list", "containers"))?;
        let mut found = Vec::new();
        for id in listed.into_iter().filter_map(|container| container.id) {
            // One that went meanwhile is none.
            found.extend(self.container(&id).await?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A container by name or id.
    ///
    /// # Errors
    /// When the engine does not answer, or the text cannot name a container.
    pub async fn container(&self, name: &str) -> Result<Option<ContainerInfo>, Error> {
        super::engine::checked("find container", name)?;
        match self.docker().inspect_container(name, None).await {
            Ok(container) => Ok(Some(describe(container))),
            Err(DockerApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(api_error("inspect container", name)(error)),
        }
    }

    /// Removes a container, even while it runs; succeeds when it is gone already.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove_container(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker().remove_container(id, Some(options)).await {
            Ok(())
            | Err(DockerApiError::DockerResponseServerError { status_code: 404 | 409, .. }) => {
                Ok(())
            }
            Err(error) => Err(api_error("remove container", id)(error)),
        }
    }

    /// Restarts a container, which gets its own stop timeout to end.
    ///
    /// # Errors
    /// When the engine refuses, or there is no such container.
    pub async fn restart(&self, id: &str) -> Result<(), Error> {
        let (docker, _guard) = self.long("restart")?;
        let restarted = docker.restart_container(id, None).await;
        restarted.map_err(api_error("restart container", id))
    }

    /// A file inside a container that runs or not; `None` when there is none.
    ///
    /// # Errors
    /// When it is not a regular file, is larger than 64 MB, or the engine does not answer.
    pub async fn file_inside(
        &self,
        container: &str,
        folder: &str,
        name: &str,
    ) -> Result<Option<FileInside>, Error> {
        let path = format!("{folder}/{name}");
        let Some(archive) = self.archive(container, &path, FILE_LIMIT + 64 * 1024).await? else {
            return Ok(None);
        };
        let refused =
            |reason: String| Error::Engine { action: "read", subject: path.clone(), reason };
        let failed = |error: std::io::Error| refused(error.to_string());
        let mut archive = TarReader::new(&archive[..]);
        let first = archive.entries().map_err(failed)?.next();
        let nothing = || refused("the engine sent nothing".to_owned());
        let mut entry = first.ok_or_else(nothing)?.map_err(failed)?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(refused("it is not a regular file".to_owned()));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(failed)?;
        let header = entry.header();
        let owner = (header.uid().map_err(failed)?, header.gid().map_err(failed)?);
        let mtime = header.mtime().map_err(failed)?;
        Ok(Some(FileInside { name: name.to_owned(), content, mtime, owner }))
    }

    /// User and group of a folder inside a container; `None` when there is none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn owner_inside(
        &self,
        container: &str,
        folder: &str,
    ) -> Result<Option<(u64, u64)>, Error> {
        // The folder's own entry comes first.
        let Some(archive) = self.archive(container, folder, 512).await? else { return Ok(None) };
        let unreadable = |error: std::io::Error| Error::Engine {
            action: "look at",
            subject: folder.to_owned(),
            reason: error.to_string(),
        };
        let header = tar::Header::from_byte_slice(
            archive
                .first_chunk::<512>()
                .ok_or_else(|| unreadable(std::io::ErrorKind::UnexpectedEof.into()))?,
        );
        Ok(Some((header.uid().map_err(unreadable)?, header.gid().map_err(unreadable)?)))
    }

    /// Replaces files of a folder inside a running container, one after the other: first all
    /// content under temporary names, then one rename each, in one program that finishes even when
    /// this process ends.
    ///
    /// # Errors
    /// When the container has no `sh` and `mv`, or the folder is not writable.
    pub async fn replace_inside(
        &self,
        container: &str,
        folder: &str,
        files: &[Replacement],
    ) -> Result<(), Error> {
        let mut names = vec![folder.to_owned()];
        let mut archive = tar::Builder::new(Vec::new());
        for (number, Replacement { file, mode }) in files.iter().enumerate() {
            let temporary = format!(".{}.{number}.tmp", file.name);
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(*mode);
            header.set_mtime(file.mtime);
            header.set_uid(file.owner.0);
            header.set_gid(file.owner.1);
            let appended = archive.append_data(&mut header, &temporary, &file.content[..]);
            appended.map_err(|error| Error::Engine {
                action: "write",
                subject: file.name.clone(),
                reason: error.to_string(),
            })?;
            names.extend([temporary, file.name.clone()]);
        }
        let archive = archive.into_inner().expect("memory takes everything");
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        self.docker()
            .upload_to_container(container, Some(options), body_full(archive.into()))
            .await
            .map_err(api_error("write into container", container))?;
        let mut command = vec!["sh".to_owned(), "-c".to_owned(), MOVE.to_owned(), "sh".to_owned()];
        command.extend(names);
        let (code, output) = self.exec(container, command).await?;
        if code == 0 {
            return Ok(());
        }
        let reason = format!("renaming ended with {code}: {}", printable(output.trim()));
        let subject = format!("{folder} of container {container}");
        Err(Error::Engine { action: "write", subject, reason })
    }

    /// Runs a program inside a running container as root; its exit code and output.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time.
    pub async fn exec(
        &self,
        container: &str,
        command: Vec<String>,
    ) -> Result<(i64, String), Error> {
        let run = async {
            let options = CreateExecOptions {
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                user: Some("0".to_owned()),
                cmd: Some(command),
                ..CreateExecOptions::default()
            };
            let id = self.docker().create_exec(container, options).await?.id;
            let mut text = Vec::new();
            if let StartExecResults::Attached { mut output, .. } =
                self.docker().start_exec(&id, None).await?
            {
                while let Some(piece) = output.next().await {
                    let piece = LogOutput::into_bytes(piece?);
                    if text.len() < OUTPUT_LIMIT {
                        text.extend_from_slice(&piece);
                    }
                }
            }
            let code = self.docker().inspect_exec(&id).await?.exit_code;
            Ok((code.unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
        };
        let ended = tokio::time::timeout(EXEC, run).await;
        ended
            .unwrap_or(Err(DockerApiError::RequestTimeoutError))
            .map_err(api_error("run a program in container", container))
    }

    /// Starts a helper container with the folders of another one, which sleeps for some minutes, so
    /// that programs can run beside a container that is stopped.
    ///
    /// # Errors
    /// When the other one's image has no `sleep`.
    pub async fn helper_container(
        &self,
        other: &ContainerInfo,
        label: &str,
    ) -> Result<HelperContainer, Error> {
        let body = ContainerCreateBody {
            image: Some(other.image.clone()),
            entrypoint: Some(vec!["sleep".to_owned()]),
            cmd: Some(vec!["300".to_owned()]),
            user: Some("0".to_owned()),
            labels: Some(HashMap::from([(label.to_owned(), "delivery".to_owned())])),
            host_config: Some(HostConfig {
                volumes_from: Some(vec![other.id.clone()]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        Ok(HelperContainer { running: container::start(self, body, &other.image).await? })
    }

    /// The first bytes of the archive of a path inside; `None` when nothing is there.
    async fn archive(
        &self,
        container: &str,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, Error> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut pieces = self.docker().download_from_container(container, Some(options));
        let mut archive = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => archive.extend_from_slice(&piece),
                Err(DockerApiError::DockerResponseServerError { status_code: 404, .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(api_error("read", path)(error)),
            }
            if archive.len() >= limit {
                break;
            }
        }
        Ok(Some(archive))
    }
}

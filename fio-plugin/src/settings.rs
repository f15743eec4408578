//! From what a job asks for to an image's name and settings.
//!
//! The job's options stand where a command line's stand: above the configuration file, below the image string. `cache=`
//! is the exception, as everywhere in ringbd: a cache mode is weaker than the configuration file.

use ringbd::cache::Policy;
use ringbd::config::{ConfigError, Env, ImageSpec, Origin, QemuCache, Settings, Sources};

use crate::job::Failure;
use crate::log::say;
use crate::target::{Cache, Target};

const UNTIL_FLUSH: &str = "rbd_cache_writethrough_until_flush";

/// The image that a job asks for, and its settings.
pub(crate) fn resolve(target: &Target) -> Result<(ImageSpec, Settings), Failure> {
    resolve_in(target, Env::from_process())
}

fn resolve_in(target: &Target, env: Env) -> Result<(ImageSpec, Settings), Failure> {
    let spec = spec(target)?;
    let mut sources = Sources {
        conf: target.conf.as_ref().map(Into::into),
        cluster: target.cluster.clone(),
        id: target.client.clone(),
        qemu_cache: target.cache.map(mode),
        env,
        ..Sources::default()
    };
    if let Some(store) = &target.store {
        sources = sources.with_option("ringbd_store", store);
    }
    if let Some(cores) = &target.cores {
        sources = sources.with_option(cores_option(cores), cores);
    }
    let mut settings = Settings::load(&spec, &sources).map_err(|error| wrong(&error))?;
    let early = matches!(target.cache, Some(Cache::Writeback | Cache::Writearound));
    if early && *settings.origin(UNTIL_FLUSH) == Origin::Default {
        // Whoever asks fio for writeback wants to measure that, also where no job ever flushes.
        sources = sources.with_option(UNTIL_FLUSH, "false");
        settings = Settings::load(&spec, &sources).map_err(|error| wrong(&error))?;
    }
    Ok((spec, settings))
}

/// `cores=2` says how many; what is no plain number lists CPUs (`0,2-3`, and `2-2` for one).
fn cores_option(cores: &str) -> &'static str {
    let count = cores.bytes().all(|byte| byte.is_ascii_digit());
    if count { "ringbd_cores" } else { "ringbd_core_list" }
}

/// Tells the user when the cache that runs is not the one the job asked for.
pub(crate) fn note_overruled(target: &Target, spec: &ImageSpec, settings: &Settings) {
    let Some(asked) = target.cache else { return };
    if settings.cache().mode != effective(asked) {
        let word = asked.word().to_string_lossy();
        say(format_args!("{}: cache={word} is overruled, it runs {}", spec.short(), settings.cache()));
    }
}

fn spec(target: &Target) -> Result<ImageSpec, Failure> {
    let mut spec: ImageSpec = target.image.parse().map_err(|error| wrong(&error))?;
    let image = &target.image;
    let names_pool = image.starts_with("rbd:") || image.contains('/');
    let conflict = |option: &str, value: &str| {
        Err(invalid(format!("{option}={value} contradicts the image {image} (leave one of them out)")))
    };
    if let Some(pool) = &target.pool {
        if names_pool && spec.pool != *pool {
            return conflict("pool", pool);
        }
        spec.pool.clone_from(pool);
    }
    for (option, asked, named) in
        [("namespace", &target.namespace, &mut spec.namespace), ("snap", &target.snap, &mut spec.snap)]
    {
        match (asked, &*named) {
            (Some(asked), Some(named)) if asked != named => return conflict(option, asked),
            (Some(asked), _) => *named = Some(asked.clone()),
            (None, _) => {}
        }
    }
    Ok(spec)
}

fn mode(cache: Cache) -> QemuCache {
    match cache {
        Cache::None => QemuCache::None,
        Cache::Writeback => QemuCache::Writeback,
        Cache::Writethrough => QemuCache::Writethrough,
        Cache::Directsync => QemuCache::Directsync,
        Cache::Unsafe => QemuCache::Unsafe,
        Cache::Writearound => QemuCache::Writearound,
    }
}

fn effective(cache: Cache) -> Policy {
    match cache {
        Cache::None | Cache::Directsync => Policy::None,
        Cache::Writeback | Cache::Unsafe => Policy::Writeback,
        Cache::Writethrough => Policy::Writethrough,
        Cache::Writearound => Policy::Writearound,
    }
}

fn wrong(error: &ConfigError) -> Failure {
    invalid(error.to_string())
}

fn invalid(message: String) -> Failure {
    Failure { message, errno: libc::EINVAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(image: &str) -> Target {
        Target {
            image: image.into(),
            pool: None,
            namespace: None,
            snap: None,
            store: Some("/srv/ring".into()),
            // A file that exists and says nothing, so that no configuration of this machine plays a part.
            conf: Some("/dev/null".into()),
            cluster: None,
            client: None,
            cache: None,
            cores: None,
        }
    }

    fn resolved(target: &Target) -> Result<(ImageSpec, Settings), String> {
        resolve_in(target, Env::default()).map_err(|failure| failure.message)
    }

    #[test]
    fn an_image_is_named_by_one_string_or_by_parts() {
        for (target, short) in [
            (target("foo"), "rbd/foo"),
            (target("data/foo"), "data/foo"),
            (target("data/ns/foo@s"), "data/ns/foo@s"),
            (target("rbd:data/foo@s"), "data/foo@s"),
        ] {
            assert_eq!(resolved(&target).unwrap().0.short(), short);
        }
        let parts = Target {
            pool: Some("data".into()),
            namespace: Some("ns".into()),
            snap: Some("s".into()),
            ..target("foo")
        };
        assert_eq!(resolved(&parts).unwrap().0.short(), "data/ns/foo@s");
        let contradiction = Target { pool: Some("other".into()), ..target("data/foo") };
        assert!(resolved(&contradiction).unwrap_err().contains("pool=other"));
        let contradiction = Target { snap: Some("t".into()), ..target("data/foo@s") };
        assert!(resolved(&contradiction).unwrap_err().contains("snap=t"));
    }

    #[test]
    fn the_image_string_wins_over_the_jobs_options() {
        let named = target("rbd:data/foo:ringbd_store=/other:rbd_cache=false");
        let (_, settings) = resolved(&Target { cache: Some(Cache::Writeback), ..named }).unwrap();
        assert_eq!(settings.store(), Some(std::path::Path::new("/other")));
        assert_eq!(settings.cache().mode, Policy::None);
    }

    #[test]
    fn cores_are_a_number_or_a_list() {
        let of = |cores: &str| {
            let resolved = resolved(&Target { cores: Some(cores.into()), ..target("foo") });
            resolved.map(|(_, settings)| (settings.cores(), settings.core_list().to_vec()))
        };
        assert_eq!(of("3").unwrap(), (3, vec![]));
        assert_eq!(of("2-2").unwrap(), (1, vec![2]));
        assert_eq!(of("0,2-3").unwrap(), (3, vec![0, 2, 3]));
        for wrong in ["", "two", "1,", "3-1", "99999999999999999999"] {
            let message = of(wrong).unwrap_err();
            assert!(message.contains("ringbd_core"), "{wrong}: {message}");
        }
    }

    #[test]
    fn writeback_means_writeback_unless_somebody_says_until_flush() {
        for cache in [Cache::Writeback, Cache::Writearound, Cache::Unsafe] {
            let (_, settings) = resolved(&Target { cache: Some(cache), ..target("foo") }).unwrap();
            assert_eq!(settings.cache().mode, effective(cache));
            assert!(!settings.cache().writethrough_until_flush, "{cache:?}");
        }
        let careful = target("rbd:rbd/foo:rbd_cache_writethrough_until_flush=true");
        let (_, settings) = resolved(&Target { cache: Some(Cache::Writeback), ..careful }).unwrap();
        assert!(settings.cache().writethrough_until_flush);
    }

    #[test]
    fn every_word_is_the_mode_it_names() {
        for cache in Cache::ALL {
            assert_eq!(mode(cache).as_str(), cache.word().to_str().unwrap());
            let (_, settings) = resolved(&Target { cache: Some(cache), ..target("foo") }).unwrap();
            assert_eq!(settings.cache().mode, effective(cache), "{cache:?}");
        }
    }
}

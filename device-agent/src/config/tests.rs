use std::fs;
use std::time::Duration;

use super::*;
use crate::detect::Confidence;

const OWNER: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

/// A configuration from the text of a file and flags over it; the owner is given.
fn load(toml: &str, mut args: RunArgs) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    fs::write(&path, toml).unwrap();
    args.config = Some(path);
    args.owner.get_or_insert_with(|| OWNER.into());
    Config::load(args)
}

#[test]
fn the_printed_defaults_are_the_defaults() {
    let printed = load(&Settings::default().to_toml(), RunArgs::default()).unwrap();
    let default = load("", RunArgs::default()).unwrap();
    assert_eq!(format!("{printed:?}"), format!("{default:?}"));
    assert_eq!(default.source.interval, Duration::from_millis(200));
    assert!(
        default.model.rules.confidence > Confidence::DEFAULT,
        "no ghosts"
    );
}

#[test]
fn the_command_line_outranks_the_file() {
    let flags = RunArgs {
        fps: Some(2.0),
        metrics_listen: Some("127.0.0.1:9101".into()),
        ..RunArgs::default()
    };
    let file = "[source]\nfps = 9.0\n[frames]\nfps = 1.0";
    let config = load(file, flags).unwrap();
    assert_eq!(config.source.interval, Duration::from_millis(500));
    assert_eq!(config.frames.interval, Duration::from_secs(1));
    let metrics = Some(([127, 0, 0, 1], 9101).into());
    assert_eq!(config.metrics_listen, metrics);
    let nobody_asked = load("", RunArgs::default()).unwrap();
    assert_eq!(nobody_asked.metrics_listen, None);
}

#[test]
fn wrong_values_are_named() {
    for (section, setting) in [
        ("gateway", "url = 'nowhere'"),
        ("source", "fps = 0.0"),
        ("source", "fps = nan"),
        ("source", "from = 'scene:x'"),
        ("source", "from = 'rtmp://cam/1'"),
        ("source", "watchdog_seconds = 0"),
        ("log", "format = 'xml'"),
        ("metrics", "listen = 'everywhere'"),
        ("frames", "fps = 1000.0"),
        ("frames", "quality = 0"),
        ("frames", "width = 70000"),
        ("masks", "privacy = [[[0.1, 0.1], [0.9, 0.1]]]"),
        (
            "masks",
            "privacy = [[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]]",
        ),
        ("masks", "motion = [[[0.1, 0.1], [1.9, 0.1], [0.5, 0.5]]]"),
        ("motion", "threshold = 0"),
        ("motion", "min_area = 0.0"),
        ("motion", "light_change = 1.5"),
        ("motion", "adapt_seconds = 0.0"),
        ("motion", "still_seconds = nan"),
        ("motion", "recheck_seconds = 1e9"),
        ("regions", "limit = 0"),
        ("regions", "whole_seconds = -1.0"),
        ("tracking", "unsure = 1.5"),
        ("tracking", "overlap = nan"),
        ("tracking", "min_hits = 0"),
        ("tracking", "lost_seconds = 0.0"),
        ("objects", "update_seconds = -1.0"),
        ("objects", "stationary_seconds = 1e9"),
        ("snapshots", "quality = 101"),
        ("model", "confidence = 1.5"),
        ("model", "threads = 0"),
        ("model", "threads = 100000"),
        ("model", "providers = ['cpu', 'gpu']"),
        ("model", "input = '640x360'"),
        ("model", "onnxruntime_sha256 = 'ab'"),
    ] {
        let error = load(&format!("[{section}]\n{setting}"), RunArgs::default()).unwrap_err();
        let name = setting.split(' ').next().unwrap();
        let named = format!("{section}.{name}: ");
        assert!(error.to_string().starts_with(&named), "{named} in: {error}");
    }
    let wrong = RunArgs {
        owner: Some("0x12".into()),
        ..RunArgs::default()
    };
    for args in [RunArgs::default(), wrong] {
        let error = Config::load(args).unwrap_err().to_string();
        assert!(error.starts_with("device.owner: "), "{error}");
    }
}

#[test]
fn filters_are_checked() {
    let filtered =
        "[model]\nlabels = ['dog']\n[[filters]]\nlabel = 'dog'\nmin_score = 0.6\nmax_area = 0.5";
    let rules = load(filtered, RunArgs::default()).unwrap().model.rules;
    assert_eq!(rules.labels, ["dog"]);
    let limits = rules.limits[0].limits;
    assert_eq!(
        (limits.area, limits.ratio),
        ((0.0, 0.5), (0.0, f32::INFINITY))
    );
    for (setting, named) in [
        ("min_score = 2.0", "filters.min_score: "),
        ("min_area = -0.1", "filters.min_area"),
        ("max_area = 1.5", "filters.min_area"),
        ("min_area = 0.5\nmax_area = 0.4", "filters.min_area"),
        ("min_ratio = 2.0\nmax_ratio = 1.0", "filters.min_ratio"),
        ("min_ratio = nan", "filters.min_ratio"),
        ("minimum = 1", "unknown field `minimum`"),
    ] {
        let toml = format!("[[filters]]\nlabel = 'dog'\n{setting}");
        let error = load(&toml, RunArgs::default()).unwrap_err().to_string();
        assert!(error.contains(named), "{setting}: {error}");
    }
}

/// Whoever wrote one of these would wait for objects that never come.
#[test]
fn rules_for_what_is_not_reported_are_refused() {
    let load = |toml: &str| load(toml, RunArgs::default());
    for (rules, named) in [
        (
            "[[filters]]
label = 'cat'",
            "filters.label: `cat`",
        ),
        (
            "[[streams]]
name = 'pets'
labels = ['dog', 'cat']",
            "streams.labels: `cat`",
        ),
        (
            "[zones.gate]
polygon = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]
labels = ['cat']",
            "zones: gate.labels: `cat`",
        ),
    ] {
        let only = |labels: &str| {
            load(&format!(
                "[model]
labels = [{labels}]
{rules}"
            ))
        };
        let error = only("'dog'").unwrap_err().to_string();
        assert!(error.contains(named), "{rules}: {error}");
        for labels in ["", "'dog', 'cat'"] {
            assert!(only(labels).is_ok(), "{rules}: {labels}");
        }
    }
}

#[test]
fn a_label_has_one_filter() {
    let twice = "[[filters]]
label = 'dog'
min_score = 0.6
"
    .repeat(2);
    let error = load(&twice, RunArgs::default()).unwrap_err().to_string();
    assert!(error.contains("two filters are for `dog`"), "{error}");
}

#[test]
fn zones_are_checked() {
    let corners = "polygon = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]";
    let toml = format!(
        "[zones.gate]\n{corners}\nlabels = ['dog']\nloitering_seconds = 5.0\n[zones.a]\n{corners}"
    );
    let zones = load(&toml, RunArgs::default())
        .unwrap()
        .tracking
        .unwrap()
        .zones;
    let names: Vec<_> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["a", "gate"]);
    assert_eq!((zones[0].inertia, zones[0].loitering), (3, None));
    assert_eq!(zones[1].loitering, Some(Duration::from_secs(5)));
    for (toml, named) in [
        ("[zones.gate]\nlabels = []".to_owned(), "polygon"),
        (format!("[zones.Gate]\n{corners}"), "zones: "),
        (
            format!("[zones.gate]\n{corners}\ninertia = 0"),
            "gate.inertia",
        ),
        (
            format!("[zones.gate]\n{corners}\nloitering_seconds = 0.0"),
            "loitering_seconds",
        ),
        (
            format!("[zones.gate]\n{corners}\nlabel = 'dog'"),
            "unknown field `label`",
        ),
        (
            "[zones.gate]\npolygon = [[0.0, 0.0], [1.0, 1.0]]".into(),
            "gate.polygon: 2 corners",
        ),
    ] {
        let error = load(&toml, RunArgs::default()).unwrap_err().to_string();
        assert!(error.contains(named), "{toml}: {error}");
    }
}

#[test]
fn what_is_seen_once_in_a_while_is_followed_all_the_same() {
    for (fps, lost) in [("5.0", 3.0), ("0.1", 30.0)] {
        let config = load(&format!("[source]\nfps = {fps}"), RunArgs::default()).unwrap();
        assert_eq!(config.tracking.unwrap().options.lost.as_secs_f64(), lost);
    }
    let off = load("[tracking]\nenabled = false", RunArgs::default()).unwrap();
    assert!(off.tracking.is_none());
    let sure = load("[model]\nconfidence = 0.15", RunArgs::default()).unwrap();
    let options = sure.tracking.unwrap().options;
    assert!(options.unsure <= options.sure && options.begin > options.sure);
}

#[test]
fn derived_streams_have_names_of_their_own() {
    let stream = |name: &str| format!("[[streams]]\nname = '{name}'\nlabels = ['person']\n");
    let config = load(&(stream("people") + &stream("others")), RunArgs::default()).unwrap();
    let names: Vec<_> = config
        .derived
        .iter()
        .map(|stream| stream.name.as_str())
        .collect();
    assert_eq!(names, ["people", "others"]);
    let zone = "[zones.drive]\npolygon = [[0.1, 0.5], [0.6, 0.5], [0.7, 1.0]]\n";
    let zoned = stream("people") + "zones = ['drive']\n" + zone;
    let config = load(&zoned, RunArgs::default()).unwrap();
    assert_eq!(config.derived[0].zones.len(), 1);
    let many: String = (0..28)
        .map(|number| stream(&format!("s{number}")))
        .collect();
    for refused in [
        stream("frames"),
        stream("status"),
        stream("No"),
        stream("people") + &stream("people"),
        stream("people") + "min_score = 2.0",
        stream("people") + "label = 'dog'",
        stream("people") + "zones = ['nowhere']",
        many,
    ] {
        let error = load(&refused, RunArgs::default()).unwrap_err().to_string();
        assert!(
            error.contains("streams") || error.contains("label"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_password_in_an_address_is_told_to_nobody() {
    for from in ["rtsp://admin:s3cret@cam/1", "rtsp://admin:s3cret@/1"] {
        let told = match load(&format!("[source]\nfrom = '{from}'"), RunArgs::default()) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn the_native_decoder_is_refused_where_it_cannot_work() {
    let native = |from: &str| {
        let file = format!("[source]\nfrom = '{from}'\ndecoder = 'native'");
        load(&file, RunArgs::default())
    };
    let error = native("rtsps://cam/1").unwrap_err().to_string();
    assert!(error.starts_with("source.decoder: "), "{error}");
    assert_eq!(
        native("rtsp://cam/1").is_ok(),
        cfg!(feature = "native-rtsp")
    );
}

#[test]
fn an_unknown_setting_in_the_file_is_told_on_one_line() {
    let error = load("[source]\nfsp = 5.0\n", RunArgs::default()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("fsp") && error.lines().count() == 1,
        "{error}"
    );
    let missing = RunArgs {
        config: Some("no such file".into()),
        ..RunArgs::default()
    };
    assert!(Config::load(missing).is_err());
}

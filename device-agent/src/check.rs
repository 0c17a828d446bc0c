//! `check`: tries camera, model, gateway and key in turn, and says what to do about what does not work.

mod camera;
mod folder;
mod gateway;
mod model;

use std::fmt;

use crate::config::Config;
use crate::picture::Picture;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// It works.
    Ok(String),
    /// It works, and something about it is worth a look.
    Warning(String, String),
    /// It does not work; and what to do.
    Failed(String, String),
}

/// The picture that the model is tried on where the camera gives none: grey, of a common size.
const STAND_IN: (u32, u32) = (1280, 720);

/// Checks everything, printing a line or two for each. True when the device would run.
pub(crate) async fn check(config: Config) -> bool {
    report("config", &Finding::Ok("every setting makes sense".into()));
    let (data, key) = folder::check(&config.data);
    let mut well = report("data", &data);
    well &= report("key", &key.finding);
    let source = config.source.clone();
    let seen = tokio::task::spawn_blocking(move || camera::check(&source)).await;
    let (camera, picture) = seen.unwrap_or_else(|error| (panicked(&error), None));
    well &= report("camera", &camera);
    let settings = config.clone();
    let tried = tokio::task::spawn_blocking(move || model::check(&settings, &stand_in(picture)));
    let model = tried.await.unwrap_or_else(|error| panicked(&error));
    well &= report("model", &model);
    for (what, finding) in gateway::check(&config, key.key.as_ref()).await {
        well &= report(what, &finding);
    }
    well
}

impl Finding {
    fn failed(reason: impl fmt::Display, todo: impl Into<String>) -> Self {
        Self::Failed(reason.to_string(), todo.into())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(words) => write!(f, "ok: {words}"),
            Self::Warning(words, todo) => write!(f, "WARNING: {words}\n{:10}do: {todo}", ""),
            Self::Failed(words, todo) => write!(f, "FAILED: {words}\n{:10}do: {todo}", ""),
        }
    }
}

fn report(what: &str, finding: &Finding) -> bool {
    println!("{what:9} {finding}");
    !matches!(finding, Finding::Failed(..))
}

fn panicked(error: &tokio::task::JoinError) -> Finding {
    Finding::failed(error, "tell the developers what stands above this line")
}

fn stand_in(picture: Option<Picture>) -> Picture {
    picture.unwrap_or_else(|| {
        let (width, height) = STAND_IN;
        let grey = vec![128; (width * height * 3) as usize];
        Picture::from_rgb(width, height, grey).expect("the size is that of the pixels")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_fail() {
        let todo = || "do it".to_owned();
        for (finding, well) in [
            (Finding::Ok("fine".into()), true),
            (Finding::Warning("odd".into(), todo()), true),
            (Finding::Failed("broken".into(), todo()), false),
        ] {
            assert_eq!(report("camera", &finding), well, "{finding}");
        }
        let text = Finding::failed("broken", "do it").to_string();
        assert_eq!(text, "FAILED: broken\n          do: do it");
    }

    #[test]
    fn a_model_is_tried_also_without_a_camera() {
        assert_eq!(stand_in(None).width(), STAND_IN.0);
    }
}

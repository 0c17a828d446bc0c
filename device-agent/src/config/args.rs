use std::path::PathBuf;

use clap::Args;

/// Flags and environment of `run`; each overrides the configuration file.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Configuration file (TOML; see `ashya-agent config`)
    #[arg(long, value_name = "FILE", env = "ASHYA_AGENT_CONFIG")]
    pub config: Option<PathBuf>,
    /// The gateway to register with [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "ASHYA_AGENT_GATEWAY")]
    pub gateway: Option<String>,
    /// Folder of the device's key and counters [default: agent-data]
    #[arg(long, value_name = "DIR", env = "ASHYA_AGENT_DATA")]
    pub data: Option<PathBuf>,
    /// The wallet that this device belongs to; required
    #[arg(long, value_name = "0x…", env = "ASHYA_AGENT_OWNER")]
    pub owner: Option<String>,
    /// A short name for people [default: Ashya device]
    #[arg(long, env = "ASHYA_AGENT_TITLE")]
    pub title: Option<String>,
    /// More about the device
    #[arg(long, env = "ASHYA_AGENT_DESCRIPTION")]
    pub description: Option<String>,
    /// The model: a YOLO as ONNX [default: models/street_tiny_320.onnx]
    #[arg(long, value_name = "FILE", env = "ASHYA_AGENT_MODEL")]
    pub model: Option<PathBuf>,
    /// rtsp://…, http://…, v4l2:/dev/video0, a video file, a folder of pictures, or scene:SEED [default: scene:1]
    #[arg(long, env = "ASHYA_AGENT_SOURCE")]
    pub source: Option<String>,
    /// Frames looked at per second [default: 5]
    #[arg(long, env = "ASHYA_AGENT_FPS")]
    pub fps: Option<f64>,
    /// Least score that counts, 0 to 1 [default: 0.4]
    #[arg(long, env = "ASHYA_AGENT_CONFIDENCE")]
    pub confidence: Option<f64>,
    /// Pictures published per second while somebody watches them [default: 5]
    #[arg(long, env = "ASHYA_AGENT_FRAMES_FPS")]
    pub frames_fps: Option<f64>,
    /// JPEG quality of published pictures, 1 to 100 [default: 80]
    #[arg(long, env = "ASHYA_AGENT_FRAMES_QUALITY")]
    pub frames_quality: Option<u8>,
    /// CPU threads for one picture [default: as many as there are]
    #[arg(long, env = "ASHYA_AGENT_THREADS")]
    pub threads: Option<usize>,
    /// What computes the model, the best first: cpu, cuda, tensorrt, openvino, coreml [default: cpu]
    #[arg(
        long = "provider",
        value_name = "NAME",
        env = "ASHYA_AGENT_PROVIDERS",
        value_delimiter = ','
    )]
    pub providers: Option<Vec<String>>,
    /// The ONNX Runtime library [default: the one that `make setup` installed]
    #[arg(long, value_name = "PATH", env = "ASHYA_ONNXRUNTIME")]
    pub onnxruntime: Option<PathBuf>,
    /// Load a library with this sha256 though it is not a known one
    #[arg(long, value_name = "HEX", env = "ASHYA_ONNXRUNTIME_SHA256")]
    pub onnxruntime_sha256: Option<String>,
    /// Form of the log: human or json [default: human]
    #[arg(long, value_name = "FORMAT", env = "ASHYA_AGENT_LOG_FORMAT")]
    pub log_format: Option<String>,
    /// Serve Prometheus metrics at this address, such as 127.0.0.1:9101 [default: nowhere]
    #[arg(long, value_name = "ADDRESS", env = "ASHYA_AGENT_METRICS_LISTEN")]
    pub metrics_listen: Option<String>,
}

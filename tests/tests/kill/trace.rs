//! The system calls of a gateway: what it acknowledges has been brought to the disk before.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::Registration;
use ashya_tests::{Delivery, Device, Process, World, eventually};

use crate::load::Load;

/// Acknowledgements of each kind that are traced.
const COUNT: usize = 100;
/// Time for the tracer to hold on and to let go, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// One kind of acknowledgement, as `strace` prints the bytes.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    arrival: &'static str,
    answer: &'static str,
}

const PUBACK: Kind = Kind {
    name: "PUBACK",
    arrival: "/up/detections",
    answer: "\"@\\2",
};
const REGISTERED: Kind = Kind {
    name: "registration",
    arrival: "/v1/devices HTTP/1.1",
    answer: "\"HTTP/1.1 20",
};

/// Traces acknowledgements one after the other, and reports what came between.
pub(crate) async fn report(world: &mut World, load: &Load) -> Result<String> {
    let mut report = String::from(
        "\n| acknowledgement | answered | with an `fdatasync` that began after its arrival and ended before |\n|---|---|---|\n",
    );
    for kind in [PUBACK, REGISTERED] {
        let file = world.folder(kind.name)?.join("trace");
        let tracer = attach(world, &file).await?;
        match kind.name {
            "PUBACK" => publish(load).await?,
            _ => register(world, load).await?,
        }
        detach(tracer).await?;
        let text = fs::read_to_string(&file)?;
        let (answered, synced) = count(&text, kind);
        ensure!(answered >= COUNT, "{} {} in the trace", answered, kind.name);
        ensure!(
            answered == synced,
            "{} of {answered} {} without fdatasync",
            answered - synced,
            kind.name
        );
        report += &format!("| {} | {answered} | {synced} |\n", kind.name);
    }
    Ok(report)
}

async fn attach(world: &mut World, file: &Path) -> Result<Process> {
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-s",
            "256",
            "-e",
            "trace=fdatasync,recvfrom,read,sendto,write,writev",
        ])
        .arg("-o")
        .arg(file)
        .args(["-p", &world.gateway.process().id().to_string()]);
    let folder = file.parent().context("a file in a folder")?;
    let mut tracer = Process::spawn("strace", strace, folder)?;
    eventually("the tracer", LIMIT, async || {
        tracer.check_running()?;
        Ok(tracer.log().contains("attached").then_some(()))
    })
    .await?;
    Ok(tracer)
}

/// The gateway goes on without it.
async fn detach(mut tracer: Process) -> Result<()> {
    tracer.interrupt()?;
    let ended = eventually("the tracer to let go", LIMIT, async || tracer.ended());
    ended.await.map(drop)
}

async fn publish(load: &Load) -> Result<()> {
    let mut publisher = load.publishers[0].lock().await;
    let device = &mut publisher.device;
    let topic = device.topic("detections")?;
    let mut mqtt = device.connect().await?;
    for _ in 0..COUNT {
        let envelope = device.envelope("detections", b"{}")?;
        ensure!(mqtt.publish(&topic, &envelope).await? == Delivery::Acknowledged);
    }
    Ok(())
}

async fn register(world: &World, load: &Load) -> Result<()> {
    for _ in 0..COUNT {
        let device = Device::unregistered(world.api(), world.domain())?;
        let signed = device.sign_registration(Registration {
            device: device.id(),
            owner: load.owner.address(),
            revision: 1,
            title: "Traced".into(),
            description: String::new(),
            streams: vec!["detections".parse()?],
        });
        let answer = world.api().register(&signed).await?;
        ensure!(answer.status.is_success(), "{answer:?}");
    }
    Ok(())
}

/// How many arrivals were answered, and how many of the answers began after an `fdatasync` had begun after the arrival,
/// and ended well.
fn count(trace: &str, kind: Kind) -> (usize, usize) {
    let (mut answered, mut synced) = (0, 0);
    let mut arrival = None;
    let mut is_synced = false;
    let mut begun = std::collections::HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        let is_read =
            line.contains("recvfrom") || line.contains(" read(") || line.contains("read resumed");
        let is_write = [" sendto(", " write(", " writev("]
            .iter()
            .any(|call| line.contains(call));
        if is_read && line.contains(kind.arrival) {
            (arrival, is_synced) = (Some(number), false);
        } else if line.contains("fdatasync(") {
            begun.insert(thread, number);
        }
        if line.contains("fdatasync") && line.trim_end().ends_with("= 0") {
            let since = begun.remove(thread);
            is_synced |= arrival.is_some() && since > arrival;
        }
        if is_write && line.contains(kind.answer) && arrival.take().is_some() {
            answered += 1;
            synced += usize::from(is_synced);
        }
    }
    (answered, synced)
}

#[test]
fn a_trace_is_read_rightly() {
    let held = r#"
1 recvfrom(9, "2\26\0\30ashya/v1/0x1/up/detections", 8192, 0, NULL, NULL) = 40
2 fdatasync(5 <unfinished ...>
1 recvfrom(9, 0x1, 8192, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
2 <... fdatasync resumed>)                = 0
1 sendto(9, "@\2\0\1", 4, MSG_NOSIGNAL, NULL, 0) = 4
1 <... recvfrom resumed>"2\26\0\30ashya/v1/0x1/up/detections", 8192, 0, NULL, NULL) = 40
2 fdatasync(5)                            = 0
1 writev(9, [{iov_base="@\2\0\2", iov_len=4}], 1) = 4
"#;
    assert_eq!(count(held, PUBACK), (2, 2));
    let too_early = held.replace("2 fdatasync(5)                            = 0\n", "");
    assert_eq!(count(&too_early, PUBACK), (2, 1));
    let failed = held.replace("resumed>)                = 0", "resumed>) = -1 EIO");
    assert_eq!(count(&failed, PUBACK), (2, 1));
    let begun_before = r#"
2 fdatasync(5 <unfinished ...>
1 recvfrom(9, "/up/detections", 8192, 0, NULL, NULL) = 40
2 <... fdatasync resumed>)                = 0
1 write(9, "@\2\0\1", 4) = 4
"#;
    assert_eq!(count(begun_before, PUBACK), (1, 0));
}

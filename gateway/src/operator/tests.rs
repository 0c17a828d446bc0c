use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_carried_out_with_and_without_a_running_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let device = DeviceId::new([7; 20]);
    let ask = |what: Order| {
        let data = data.clone();
        tokio::task::spawn_blocking(move || order(&data, &what))
    };
    let blocked = ask(Order::Block { device }).await.unwrap().unwrap();
    assert_eq!(blocked, format!("{device} is blocked"));
    let shutdown = CancellationToken::new();
    let running = {
        let store = Store::open(&data.join("store")).unwrap();
        let blocked = Blocklist::load(store.clone()).unwrap();
        let line = Line { store, blocked };
        let listener = listen(&data).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &data.join("admin.sock").metadata().unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        assert!(line.blocked.is_blocked(device));
        let leash = line.blocked.leash(DeviceId::new([8; 20]));
        tokio::spawn(serve(listener, line.clone(), shutdown.clone()));
        (line, leash)
    };
    let other = DeviceId::new([8; 20]);
    ask(Order::Block { device: other }).await.unwrap().unwrap();
    assert!(running.1.is_cut(), "at once");
    let unblocked = ask(Order::Unblock { device }).await.unwrap().unwrap();
    assert_eq!(unblocked, format!("{device} is no longer blocked"));
    let list = ask(Order::Blocked).await.unwrap().unwrap();
    assert!(list.starts_with(&other.to_string()) && !list.contains('\n'));
    let path = folder.path().join("export.jsonl");
    let told = ask(Order::Export { path: path.clone() }).await.unwrap();
    assert!(told.unwrap().starts_with("1 records in"));
    let refused = ask(Order::Export {
        path: folder.path().join("no/such/folder"),
    });
    assert!(matches!(
        refused.await.unwrap(),
        Err(OrderError::Refused(_))
    ));
    let new = folder.path().join("new");
    let take_in = || {
        let (new, path) = (new.clone(), path.clone());
        tokio::task::spawn_blocking(move || import(&new, &path))
    };
    let told = take_in().await.unwrap().unwrap();
    assert_eq!(told, "1 records taken in");
    assert!(take_in().await.unwrap().is_err(), "not empty any more");
    shutdown.cancel();
}

#[test]
fn orders_to_a_gateway_that_does_not_run_leave_a_damaged_store_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let device = DeviceId::new([7; 20]);
    order(&data, &Order::Block { device }).unwrap();
    std::fs::write(data.join("store/conf"), "damaged beyond reading").unwrap();
    let path = folder.path().join("export.jsonl");
    for what in [
        Order::Blocked,
        Order::Block { device },
        Order::Export { path },
    ] {
        let refused = order(&data, &what);
        let damaged = matches!(refused, Err(OrderError::Store(StoreError::Damaged(_))));
        assert!(damaged, "{refused:?}");
    }
    let names = std::fs::read_dir(&data).unwrap().filter_map(Result::ok);
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["store"]);
}

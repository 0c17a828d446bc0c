use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::*;
use crate::causes::causes;

/// A server that takes one request, answers with `head`, and then with `more` until nobody listens any more or it was
/// said so often. Gives its address, and at the end how many bytes it could send.
fn server(head: &str, more: &'static [u8], times: usize) -> (Url, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head = head.to_owned();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let sent = (0..times).take_while(|_| stream.write_all(more).is_ok());
        sent.count() * more.len()
    });
    (
        format!("http://u:secret@{address}").parse().unwrap(),
        thread,
    )
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    const MEGABYTE: &[u8] = &[b'1'; 1 << 20];
    const TIMES: usize = 1_000;
    for status in ["200 OK", "400 Bad Request"] {
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
        let (url, sent) = server(&head, MEGABYTE, TIMES);
        let gateway = Gateway::new(&url).unwrap();
        let error = gateway.listing(FeedId::new([1; 32])).await.unwrap_err();
        let said = causes(&error);
        let told = if status.starts_with('2') {
            "longer than 1048576 bytes"
        } else {
            "400"
        };
        assert!(said.contains(told) && !said.contains("secret"), "{said}");
        drop(gateway);
        // The connection is closed by a task of this thread.
        let sent = tokio::task::spawn_blocking(|| sent.join().unwrap());
        let sent = sent.await.unwrap();
        assert!(sent < 64 * MEGABYTE.len(), "{sent} bytes were taken");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_which_address_to_use() {
    for status in ["301 Moved Permanently", "308 Permanent Redirect"] {
        let (elsewhere, _unasked) = server("HTTP/1.1 200 OK\r\n\r\n", b"", 0);
        let target = shown(&elsewhere);
        let head =
            format!("HTTP/1.1 {status}\r\nlocation: {target}v1/chain\r\ncontent-length: 0\r\n\r\n");
        let (url, _) = server(&head, b"", 0);
        let error = Gateway::new(&url).unwrap().domain().await.unwrap_err();
        let said = causes(&error);
        assert!(matches!(error, GatewayError::Redirected { .. }), "{said}");
        assert!(said.contains(&format!("use {target} as")), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn no_error_tells_the_password() {
    let url: Url = "http://u:secret@127.0.0.1:9".parse().unwrap();
    let gateway = Gateway::new(&url).unwrap();
    let mut said = vec![causes(&gateway.domain().await.unwrap_err())];
    let wrong: Url = "ftp://u:secret@127.0.0.1:9".parse().unwrap();
    said.push(causes(&Gateway::new(&wrong).unwrap_err()));
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{]",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let (url, _) = server(head, b"", 0);
        let error = Gateway::new(&url).unwrap().domain().await.unwrap_err();
        said.push(causes(&error));
    }
    for said in said {
        assert!(said.contains("127.0.0.1"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

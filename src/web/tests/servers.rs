use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::harness::Server;
use crate::config::{CommonConfig, HttpdBinding, HttpdConfig, TelemetryConfig};
use crate::protocol::listener::proxy::ProxyPolicy;
use crate::web::{WebContext, start};

fn binding(address: &str, port: u16) -> HttpdBinding {
    HttpdBinding { address: address.to_owned(), port, ..HttpdBinding::default() }
}

fn context(server: &Server, bindings: Vec<HttpdBinding>, telemetry: &str) -> WebContext {
    WebContext {
        proxy: ProxyPolicy::from_config(&CommonConfig::default()).expect("valid"),
        httpd: HttpdConfig { bindings, ..HttpdConfig::default() },
        telemetry: TelemetryConfig {
            bind_address: telemetry.to_owned(),
            ..TelemetryConfig::default()
        },
        config_dir: std::env::temp_dir(),
        services: Arc::clone(&server.services),
    }
}

async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    listener.local_addr().expect("address").port()
}

#[cfg(unix)]
#[actix_web::test]
async fn bindings_listen_on_addresses_and_sockets_until_they_are_stopped() {
    use tokio::net::{TcpStream, UnixStream};

    let server = Server::start().await;
    let dir = tempfile::tempdir().expect("directory");
    let api = dir.path().join("api.sock");
    let metrics = dir.path().join("metrics.sock");
    let bindings = vec![
        binding("127.0.0.1", free_port()),
        binding("127.0.0.1", 0),
        binding(api.to_str().expect("UTF-8"), 0),
    ];
    let telemetry = metrics.to_str().expect("UTF-8");
    let handle = start(context(&server, bindings, telemetry)).expect("started");
    let [address] = handle.local_addrs() else { panic!("{:?}", handle.local_addrs()) };
    let address = *address;
    assert_eq!(handle.telemetry_addr(), None);
    assert!(handle.has_sockets());

    let answer = get(TcpStream::connect(address).await.expect("connect"), "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let answer = get(UnixStream::connect(&api).await.expect("connect"), "/api/v2/version").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let answer = get(UnixStream::connect(&metrics).await.expect("connect"), "/metrics").await;
    assert!(answer.contains("sftpgo_dataprovider_availability 1"), "{answer}");

    handle.stop(true).await;
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!api.exists() && !metrics.exists(), "sockets are removed");
}

#[actix_web::test]
async fn a_taken_address_stops_the_start_naming_the_binding() {
    let server = Server::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = taken.local_addr().expect("address").port();
    let bindings = vec![binding("127.0.0.1", 0), binding("127.0.0.1", port)];
    let Err(error) = start(context(&server, bindings, "127.0.0.1")) else { panic!("started") };
    let told = error.to_string();
    assert!(told.starts_with("httpd.bindings[1]: listen on 127.0.0.1:"), "{told}");

    let bindings = vec![binding("not an address", 8080)];
    let Err(error) = start(context(&server, bindings, "127.0.0.1")) else { panic!("started") };
    assert!(error.to_string().contains("not an address"), "{error}");
}

#[actix_web::test]
async fn an_unreadable_password_file_stops_the_start() {
    let server = Server::start().await;
    let mut context = context(&server, Vec::new(), "127.0.0.1");
    context.telemetry.bind_port = free_port();
    context.telemetry.auth_user_file = "/nonexistent/htpasswd".to_owned();
    let Err(error) = start(context) else { panic!("started") };
    let told = error.to_string();
    assert!(told.contains("telemetry.auth_user_file: /nonexistent/htpasswd"), "{told}");
}

#[actix_web::test]
async fn the_passphrase_comes_from_a_file_below_the_configuration() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().expect("directory");
    let mut told = Vec::new();
    for content in [None, Some("\n"), Some("a pass phrase\n")] {
        let mut context = context(&server, Vec::new(), "127.0.0.1");
        context.config_dir = dir.path().to_owned();
        context.httpd.signing_passphrase_file = "passphrase".to_owned();
        if let Some(content) = content {
            std::fs::write(dir.path().join("passphrase"), content).expect("written");
        }
        told.push(start(context).err().map(|error| error.to_string()));
    }
    let [Some(missing), Some(empty), None] = told.as_slice() else { panic!("{told:?}") };
    for error in [missing, empty] {
        assert!(error.starts_with("httpd.signing_passphrase_file: /"), "{error}");
        assert!(error.contains("/passphrase: "), "{error}");
    }
}

//! The proxies that the gateway is compared with.

use super::stage::{KINDS, Running, free_port, listens, on_loopback};
use inventiv_worker_api::tls::Authority;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Addresses for each engine.
pub(super) struct Proxies {
    /// A bare proxy.
    pub(super) plain: Vec<SocketAddr>,
    /// A proxy in front of another one, with mutual TLS between them, as between the gateway and a worker.
    pub(super) over_tls: Vec<SocketAddr>,
}

/// nginx as a proxy for each engine; `None`: it is not installed.
pub(super) async fn nginx(folder: &Path, engines: &[SocketAddr]) -> Option<(Running, Proxies)> {
    let binary = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| Path::new(p).exists());
    let Some(binary) = binary else {
        println!("skipped: nginx is not installed (Debian: apt-get install nginx-light)");
        return None;
    };
    let authority = Authority::create().unwrap();
    let (server, client) = (authority.for_worker("worker").unwrap(), authority.for_control_plane().unwrap());
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    file("ca.pem", authority.certificate_pem());
    for (name, identity) in [("server", server), ("client", client)] {
        file(&format!("{name}.pem"), &identity.certificate_pem);
        file(&format!("{name}-key.pem"), &identity.key_pem);
    }
    let mut proxies = Proxies { plain: Vec::new(), over_tls: Vec::new() };
    let mut servers = String::new();
    for (n, engine) in engines.iter().enumerate() {
        let [plain, over_tls, worker] = [(); 3].map(|()| on_loopback(free_port()));
        servers += &format!(
            "upstream engine{n} {{ server {engine}; keepalive 1024; keepalive_requests 1000000; }}\n\
             upstream worker{n} {{ server {worker}; keepalive 1024; keepalive_requests 1000000; }}\n\
             server {{ listen {plain}; location / {{ proxy_pass http://engine{n}; }} }}\n\
             server {{ listen {worker} ssl; ssl_certificate server.pem; ssl_certificate_key server-key.pem;\n\
             ssl_client_certificate ca.pem; ssl_verify_client on; location / {{ proxy_pass http://engine{n}; }} }}\n\
             server {{ listen {over_tls}; location / {{ proxy_pass https://worker{n}; proxy_ssl_name worker;\n\
             proxy_ssl_server_name on; proxy_ssl_trusted_certificate ca.pem; proxy_ssl_verify on;\n\
             proxy_ssl_protocols TLSv1.3; proxy_ssl_certificate client.pem; proxy_ssl_certificate_key client-key.pem; }} }}\n"
        );
        proxies.plain.push(plain);
        proxies.over_tls.push(over_tls);
    }
    let config = format!(
        "worker_processes auto; daemon off; pid nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 20000; }}\n\
         http {{ access_log off; keepalive_requests 1000000; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
         proxy_buffering off; proxy_read_timeout 600s; ssl_protocols TLSv1.3;\n\
         client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;\n\
         {servers} }}\n"
    );
    std::fs::write(folder.join("nginx.conf"), config).unwrap();
    // Its processes run as another user, who must reach the folder.
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let child = Command::new(binary).arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).spawn().unwrap();
    let nginx = Running(child);
    assert!(listens(proxies.plain[0], Duration::from_secs(10)).await, "nginx does not listen");
    Some((nginx, proxies))
}

/// The LiteLLM proxy with a model for each engine; `None`: it is not available.
pub(super) async fn litellm(
    folder: &Path,
    engines: &[SocketAddr],
    model: &str,
    key: &str,
) -> Option<(Running, SocketAddr)> {
    let Some(binary) = std::env::var_os("INVENTIV_BENCH_LITELLM") else {
        println!(
            "skipped: INVENTIV_BENCH_LITELLM is not set; `cargo xtask bench` sets it where it can install LiteLLM"
        );
        return None;
    };
    let mut config = format!("general_settings:\n  master_key: {key}\nmodel_list:\n");
    for ((name, _, _), engine) in KINDS.iter().zip(engines) {
        config += &format!(
            "  - model_name: {name}\n    litellm_params:\n      model: openai/{model}\n      api_base: http://{engine}/v1\n      \
             api_key: none\n"
        );
    }
    std::fs::write(folder.join("litellm.yaml"), config).unwrap();
    let address = on_loopback(free_port());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let child = Command::new(binary)
        .arg("--config")
        .arg(folder.join("litellm.yaml"))
        .args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--num_workers", &workers])
        .env("LITELLM_LOG", "ERROR")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let litellm = Running(child);
    if !listens(address, Duration::from_secs(120)).await {
        println!("skipped: LiteLLM did not start to listen");
        return None;
    }
    Some((litellm, address))
}

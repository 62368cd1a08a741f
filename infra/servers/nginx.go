package servers

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
)

// NginxConfig describes a private nginx with one site. The zero value of a field means what its comment says.
type NginxConfig struct {
	Dir       string            // holds its configuration and temporary files; made if missing; required
	Port      int               // 0: a free one, kept from then on
	Listen    string            // further parameters of "listen", such as ssl
	Upstreams string            // upstream blocks
	Site      string            // the content of the server block, without "listen"; required
	Files     map[string]string // further files in Dir, by name, which Site may name
	Output    io.Writer         // receives its errors; nil: only Log keeps the end of them
}

// Nginx is a private reverse proxy.
type Nginx struct {
	server
	cfg NginxConfig
}

// NewNginx describes a proxy without starting it. The error is ErrNotInstalled if this machine has none.
func NewNginx(cfg NginxConfig) (*Nginx, error) {
	path := findProgram("nginx", "/usr/sbin/nginx") // Debian puts it where only root's PATH leads
	if path == "" {
		return nil, notInstalled("nginx", "nginx", "nginx", "nginx")
	}
	at, err := newPlace(cfg.Dir, cfg.Port, "nobody")
	if err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	n := &Nginx{server: server{place: at}, cfg: cfg}
	n.Process = NewProcess(Spec{
		Name: "nginx", Path: path, Args: []string{"-p", at.Dir, "-c", "nginx.conf", "-e", "stderr"}, Dir: at.Dir,
		Credential: at.owner, Output: cfg.Output, Ready: n.ready,
	})
	return n, nil
}

// nginxConf has nginx's own defaults for everything that concerns a site.
const nginxConf = `daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	%s
	server {
		listen %s %s;
		%s
	}
}
`

// Start writes the configuration and starts the proxy, like Process.Start.
func (n *Nginx) Start(ctx context.Context) error {
	files := map[string]string{
		"nginx.conf": fmt.Sprintf(nginxConf, n.cfg.Upstreams, n.Addr(), n.cfg.Listen, n.cfg.Site),
	}
	maps.Copy(files, n.cfg.Files)
	return n.startWith(ctx, files)
}

// ready checks that something listens: nginx ends if another has its port.
func (n *Nginx) ready(ctx context.Context, _ int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.Addr())
	if err != nil {
		return err
	}
	return conn.Close()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// The schema's defaults, and the rhythm of retries, which is that of the real plugin (sdk/go/common/util/retry).
const (
	defaultUser           = "root"
	defaultPort           = 22
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15
	firstRetry            = 100 * time.Millisecond
	lastRetry             = 5 * time.Second
	retryBackoff          = 1.5
	keepAliveInterval     = 15 * time.Second
	keepAliveLimit        = 4
)

var connectionInputs = []string{
	"host", "port", "user", "password", "privateKey", "privateKeyPassword", "agentSocketPath", "dialErrorLimit",
	"perDialTimeout", "hostKey", "proxy",
}

// connection is how to reach one host.
type connection struct {
	host               string
	port               int
	user               string
	password           string
	privateKey         string
	privateKeyPassword string
	agentSocket        string
	hostKey            *string // nil where any is taken
	dialErrorLimit     int
	perDialTimeout     time.Duration
	proxy              *connection
}

// checkConnection refuses a connection without a host, and fills in the schema's defaults.
func checkConnection(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	value := plugin.Plain(inputs[connectionInput])
	switch {
	case value.IsComputed():
		return nil
	case !value.IsObject():
		return []*pulumirpc.CheckFailure{failure("connection", "a connection is required")}
	}
	var failures []*pulumirpc.CheckFailure
	for _, found := range checkNames(value.ObjectValue(), connectionInputs...) {
		failures = append(failures, failure("connection."+found.GetProperty(), "%s", found.GetReason()))
	}
	host := value.ObjectValue()["host"]
	if !host.IsComputed() && (!host.IsString() || host.StringValue() == "") {
		failures = append(failures, failure("connection.host", "the host to connect to is required"))
	}
	inputs[connectionInput] = withDefaults(inputs[connectionInput])
	return failures
}

// withDefaults adds the schema's defaults to a connection, keeping its secrets.
func withDefaults(value resource.PropertyValue) resource.PropertyValue {
	if value.IsSecret() {
		return resource.MakeSecret(withDefaults(value.SecretValue().Element))
	}
	if !value.IsObject() {
		return value
	}
	filled := value.ObjectValue().Copy()
	for key, otherwise := range map[resource.PropertyKey]resource.PropertyValue{
		"user":           resource.NewProperty(defaultUser),
		"port":           resource.NewProperty(float64(defaultPort)),
		"dialErrorLimit": resource.NewProperty(float64(defaultDialErrorLimit)),
		"perDialTimeout": resource.NewProperty(float64(defaultPerDialTimeout)),
	} {
		if existing, ok := filled[key]; !ok || existing.IsNull() {
			filled[key] = otherwise
		}
	}
	return resource.NewProperty(filled)
}

// newConnection reads a checked connection.
func newConnection(values resource.PropertyMap) *connection {
	text := func(key resource.PropertyKey) string {
		found, _ := plugin.String(values, key)
		return found
	}
	c := &connection{
		host: text("host"), user: text("user"), password: text("password"), privateKey: text("privateKey"),
		privateKeyPassword: text("privateKeyPassword"), agentSocket: text("agentSocketPath"),
		port:           int(plugin.Number(values, "port", defaultPort)),
		dialErrorLimit: int(plugin.Number(values, "dialErrorLimit", defaultDialErrorLimit)),
		perDialTimeout: time.Duration(plugin.Number(values, "perDialTimeout", defaultPerDialTimeout)) * time.Second,
	}
	if c.user == "" {
		c.user = defaultUser
	}
	if key, ok := plugin.String(values, "hostKey"); ok {
		c.hostKey = &key
	}
	if c.agentSocket == "" {
		c.agentSocket = os.Getenv("SSH_AUTH_SOCK")
	}
	if proxy, ok := values["proxy"]; ok && proxy.IsObject() {
		c.proxy = newConnection(proxy.ObjectValue())
	}
	return c
}

func (c *connection) address() string {
	return net.JoinHostPort(c.host, strconv.Itoa(c.port))
}

// config says who we are and whom we trust.
func (c *connection) config() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{User: c.user, Timeout: c.perDialTimeout}
	if c.privateKey != "" {
		signer, err := parseKey(c.privateKey, c.privateKeyPassword)
		if err != nil {
			return nil, fmt.Errorf("the private key for %s@%s: %w", c.user, c.host, err)
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if c.password != "" {
		config.Auth = append(config.Auth, ssh.Password(c.password), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for index := range questions {
					answers[index] = c.password
				}
				return answers, nil
			}))
	}
	if c.agentSocket != "" {
		socket, err := net.Dial("unix", c.agentSocket)
		if err == nil {
			config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(socket).Signers))
		} else if len(config.Auth) == 0 {
			return nil, fmt.Errorf("the SSH agent at %s: %w", c.agentSocket, err)
		}
	}
	config.HostKeyCallback = ssh.InsecureIgnoreHostKey() //nolint:gosec // the schema's rule where no key is given
	if c.hostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*c.hostKey))
		if err != nil {
			return nil, fmt.Errorf("the host key of %s: %w", c.host, err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		// As the real plugin does. A server with several keys is so made to show this one; an RSA key, whose signatures
		// are no longer named like its type, never passes.
		config.HostKeyAlgorithms = []string{key.Type()}
	}
	return config, nil
}

func parseKey(key, password string) (ssh.Signer, error) {
	if password != "" {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(password))
	}
	return ssh.ParsePrivateKey([]byte(key))
}

// dial connects, and tries again as often as the connection allows: a machine may still be starting.
func (c *connection) dial(ctx context.Context, say func(string)) (*ssh.Client, error) {
	wait := firstRetry
	for attempt := 1; ; attempt++ {
		client, err := c.dialOnce(ctx)
		if err == nil {
			return client, nil
		}
		var permanent *permanentError
		if errors.As(err, &permanent) || ctx.Err() != nil {
			return nil, err
		}
		if c.dialErrorLimit >= 0 && attempt > c.dialErrorLimit {
			return nil, fmt.Errorf("connect to %s@%s: after %d attempts: %w", c.user, c.address(), attempt, err)
		}
		say(fmt.Sprintf("Dial %d/%s failed: retrying: %v", attempt, limitText(c.dialErrorLimit), err))
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to %s: %w", c.address(), context.Cause(ctx))
		case <-time.After(wait):
		}
		wait = min(time.Duration(float64(wait)*retryBackoff), lastRetry)
	}
}

func limitText(limit int) string {
	if limit < 0 {
		return "unlimited"
	}
	return strconv.Itoa(limit)
}

// permanentError is one that no further attempt can mend.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

func (c *connection) dialOnce(ctx context.Context) (*ssh.Client, error) {
	config, err := c.config()
	if err != nil {
		return nil, &permanentError{err}
	}
	if c.perDialTimeout > 0 {
		timed, cancel := context.WithTimeout(ctx, c.perDialTimeout)
		defer cancel()
		ctx = timed
	}
	var transport net.Conn
	if c.proxy != nil {
		bastion, err := c.proxy.dialOnce(ctx)
		if err != nil {
			return nil, fmt.Errorf("through the proxy %s: %w", c.proxy.host, err)
		}
		transport, err = bastion.DialContext(ctx, "tcp", c.address())
		if err != nil {
			_ = bastion.Close()
			return nil, fmt.Errorf("from the proxy %s: %w", c.proxy.host, err)
		}
		transport = &proxied{Conn: transport, bastion: bastion}
	} else {
		var dialer net.Dialer
		transport, err = dialer.DialContext(ctx, "tcp", c.address())
		if err != nil {
			return nil, err
		}
	}
	// The handshake has no context of its own: a deadline or the end of the context closes the transport under it.
	stop := context.AfterFunc(ctx, func() { _ = transport.Close() })
	handshake, channels, requests, err := ssh.NewClientConn(transport, c.address(), config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = transport.Close()
		return nil, fmt.Errorf("SSH handshake with %s: %w", c.address(), err)
	}
	return ssh.NewClient(handshake, channels, requests), nil
}

// proxied is a connection that closes the bastion's with it.
type proxied struct {
	net.Conn
	bastion *ssh.Client
}

func (p *proxied) Close() error {
	return errors.Join(p.Conn.Close(), p.bastion.Close())
}

// keepAlive asks the host for a sign of life until done, and closes the connection when it stays silent: a command that
// runs for an hour is fine, a machine that died is not.
func keepAlive(ctx context.Context, client *ssh.Client) {
	ticker := time.NewTicker(keepAliveInterval)
	defer ticker.Stop()
	silent := make(chan struct{}, 1)
	missed := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-silent:
			missed = 0
		case <-ticker.C:
			if missed++; missed > keepAliveLimit {
				_ = client.Close()
				return
			}
			go func() {
				if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					select {
					case silent <- struct{}{}:
					default:
					}
				}
			}()
		}
	}
}

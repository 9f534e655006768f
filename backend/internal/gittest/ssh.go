package gittest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// SSHDRequiredEnv names the variable that makes the lack of sshd a failure.
const SSHDRequiredEnv = "HEADRACE_TEST_SSHD"

// SSHServer serves the repositories of a host by Debian's sshd.
type SSHServer struct {
	host     *Host
	listener *net.TCPListener
	program  string
	config   string
	user     string
	key      []byte
	known    string
	// connections are those that are served.
	connections sync.WaitGroup

	mu      sync.Mutex
	count   int
	refuses bool
	running map[*exec.Cmd]struct{}
}

// SSH starts an SSH server for the host's repositories, with a host key and a user's key
// of its own. If there is no sshd the test is skipped, or fails if SSHDRequiredEnv is set.
func (h *Host) SSH() *SSHServer {
	tb := h.tb
	tb.Helper()
	program, err := sshd()
	if err != nil {
		if os.Getenv(SSHDRequiredEnv) != "" {
			tb.Fatalf("%s is set and there is no sshd: %v", SSHDRequiredEnv, err)
		}
		tb.Skipf("there is no sshd: %v", err)
	}
	s, err := h.startSSH(tb.Context(), program, tb.TempDir())
	if err != nil {
		tb.Fatalf("start sshd: %v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// sshd finds the program, which insists on an absolute path.
func sshd() (string, error) {
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("sshd")
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

func (h *Host) startSSH(ctx context.Context, program, dir string) (*SSHServer, error) {
	current, err := user.Current()
	if err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		// Where sshd locks up what it does before a user is known.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // sshd wants it so.
			return nil, err
		}
	}
	hostPublic, err := newKey(ctx, filepath.Join(dir, "host"))
	if err != nil {
		return nil, err
	}
	public, err := newKey(ctx, filepath.Join(dir, "user"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, "user"))
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`HostKey %[1]s/host
AuthorizedKeysFile %[1]s/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding no
X11Forwarding no
PrintMotd no
PrintLastLog no
AcceptEnv GIT_PROTOCOL
PidFile none
`, dir)
	for name, content := range map[string]string{"authorized_keys": public + "\n", "sshd_config": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(errors.New("not a TCP listener"), listener.Close())
	}
	s := &SSHServer{
		host: h, listener: tcp, program: program, config: filepath.Join(dir, "sshd_config"), user: current.Username, key: key,
		running: make(map[*exec.Cmd]struct{}),
	}
	s.known = fmt.Sprintf("[127.0.0.1]:%d %s\n", s.Port(), hostPublic)
	s.connections.Go(s.serve)
	return s, nil
}

// newKey makes a private key as OpenSSH writes it in a file, and returns its public key as a
// line of authorized_keys.
func newKey(ctx context.Context, path string) (public string, err error) {
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	line, err := os.ReadFile(path + ".pub")
	return strings.TrimSpace(string(line)), err
}

// serve gives each connection to an sshd of its own, as inetd does: sshd itself cannot
// listen on a free port.
func (s *SSHServer) serve() {
	for {
		connection, err := s.listener.AcceptTCP()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.count++
		refuses := s.refuses
		s.mu.Unlock()
		if refuses {
			_ = connection.Close()
			continue
		}
		s.connections.Go(func() { s.handle(connection) })
	}
}

func (s *SSHServer) handle(connection *net.TCPConn) {
	file, err := connection.File()
	_ = connection.Close()
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	cmd := exec.CommandContext(context.Background(), s.program, "-i", "-f", s.config)
	cmd.Stdin, cmd.Stdout = file, file
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.mu.Lock()
	err = cmd.Start()
	if err == nil {
		s.running[cmd] = struct{}{}
	}
	s.mu.Unlock()
	if err != nil {
		return
	}
	_ = cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, cmd)
}

// Close stops the server. It is safe to call it again.
func (s *SSHServer) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for cmd := range s.running {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	s.mu.Unlock()
	s.connections.Wait()
}

// Port is the port that the server listens on, on 127.0.0.1.
func (s *SSHServer) Port() int {
	address, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return address.Port
}

// URL is the address of a repository.
func (s *SSHServer) URL(r *Repository) string {
	return fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", s.user, s.Port(), r.Dir)
}

// Key is the private key that the server lets in.
func (s *SSHServer) Key() []byte { return s.key }

// KnownHosts is the text of a file known_hosts with the server's key.
func (s *SSHServer) KnownHosts() string { return s.known }

// Refuse closes every new connection, or ends that.
func (s *SSHServer) Refuse(refuses bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = refuses
}

// Connections returns how many connections there were.
func (s *SSHServer) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

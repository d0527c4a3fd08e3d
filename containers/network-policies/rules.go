package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
)

const chain = "ARGUS-POLICIES"

// hooks are where connections of pods pass, after kube-proxy chose a pod and before an address is masqueraded: what
// leaves this machine for a pod or comes from one, and what a pod sends to the machine itself.
var hooks = []string{"INPUT", "POSTROUTING"}

// keeper keeps the rules of this machine: in the kernel, and in a file from which the machine's own service sets them
// before the first pod starts. A file beside it, which `pulumi up` makes, says that they are wanted.
type keeper struct {
	folder, node string
	pods         netip.Prefix
	queue        int
	nodes        corelisters.NodeLister
}

func (keeper *keeper) file() string { return filepath.Join(keeper.folder, "rules") }

func (keeper *keeper) unwanted() bool {
	_, err := os.Stat(filepath.Join(keeper.folder, "wanted"))
	return errors.Is(err, fs.ErrNotExist)
}

func (keeper *keeper) keep() error {
	if keeper.unwanted() {
		return errors.Join(errors.New("the machine's own step does not want them"), keeper.remove())
	}
	nodes, err := keeper.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	text, err := rules(nodes, keeper.node, keeper.pods, keeper.queue)
	if err != nil {
		return err
	}
	if err := write(keeper.file(), text); err != nil {
		return err
	}
	// One transaction: no packet is looked at by half of the rules.
	if err := command(text, "iptables-restore", "--wait", "--noflush"); err != nil {
		return err
	}
	for _, hook := range hooks {
		if iptables("--check", hook, "--jump", chain) != nil {
			if err := iptables("--append", hook, "--jump", chain); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove takes the rules out. It is repeatable.
func (keeper *keeper) remove() error {
	if err := os.Remove(keeper.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if iptables("--list-rules", chain) != nil {
		return nil
	}
	for _, hook := range hooks {
		if iptables("--check", hook, "--jump", chain) == nil {
			if err := iptables("--delete", hook, "--jump", chain); err != nil {
				return err
			}
		}
	}
	if err := iptables("--flush", chain); err != nil {
		return err
	}
	return iptables("--delete-chain", chain)
}

// rules are the input of iptables-restore. Who sends is proven by the guard of components/cluster/network.sh.
func rules(nodes []*v1.Node, name string, pods netip.Prefix, queue int) (string, error) {
	var own string
	var machines []netip.Addr
	for _, node := range nodes {
		if node.Name == name {
			own = node.Spec.PodCIDR
			continue
		}
		for _, address := range node.Status.Addresses {
			// A kubelet says which addresses its node has; it may not make a pod a machine.
			parsed, err := netip.ParseAddr(address.Address)
			if address.Type == v1.NodeInternalIP && err == nil && parsed.Is4() && !pods.Contains(parsed) {
				machines = append(machines, parsed)
			}
		}
	}
	if _, err := netip.ParsePrefix(own); err != nil {
		return "", fmt.Errorf("the node %s has no pod network yet: %w", name, err)
	}
	slices.SortFunc(machines, netip.Addr.Compare)
	lines := []string{"*mangle", ":" + chain + " - [0:0]"}
	add := func(words ...string) { lines = append(lines, "-A "+chain+" "+strings.Join(words, " ")) }
	add("-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN")
	// Kubelets and API servers: probes, webhooks, the API servers' proxy.
	add("-m addrtype --src-type LOCAL -j RETURN")
	for _, machine := range slices.Compact(machines) {
		add("-s", machine.String(), "-j RETURN")
	}
	for _, direction := range []string{"-s", "-d"} {
		add(direction, own, "-j NFQUEUE --queue-num", strconv.Itoa(queue))
	}
	return strings.Join(append(lines, "COMMIT", ""), "\n"), nil
}

// queueServed is whether a program takes from the queue.
func queueServed(queue int) bool {
	text, err := os.ReadFile("/proc/net/netfilter/nfnetlink_queue")
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == strconv.Itoa(queue) {
			return true
		}
	}
	return false
}

// write replaces the file at once, unless it has this text.
func write(path, text string) error {
	if found, err := os.ReadFile(path); err == nil && string(found) == text {
		return nil
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func iptables(arguments ...string) error {
	return command("", "iptables", append([]string{"--wait", "--table", "mangle"}, arguments...)...)
}

func command(stdin, program string, arguments ...string) error {
	run := exec.Command(program, arguments...)
	run.Stdin = strings.NewReader(stdin)
	if said, err := run.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, said)
	}
	return nil
}

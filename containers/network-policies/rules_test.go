package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

var podNetwork = netip.MustParsePrefix("10.244.0.0/16")

func node(name, pods string, addresses ...string) *v1.Node {
	made := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.NodeSpec{PodCIDR: pods}}
	for _, address := range addresses {
		made.Status.Addresses = append(made.Status.Addresses, v1.NodeAddress{Type: v1.NodeInternalIP, Address: address})
	}
	return made
}

func TestRulesQueueWhatPodsOfThisMachineSendAndGetButForMachines(t *testing.T) {
	named := node("worker1", "10.244.3.0/24", "192.0.2.21", "worker1", "2001:db8::21", "192.0.2.21")
	named.Status.Addresses = append(named.Status.Addresses, v1.NodeAddress{Type: v1.NodeExternalIP, Address: "198.51.100.1"})
	own := node("cp1", "10.244.1.0/24", "192.0.2.11")
	// A kubelet that calls a pod's address its own gains nothing by it.
	greedy := node("cp2", "10.244.2.0/24", "10.244.1.7", "192.0.2.12")
	want := `*mangle
:ARGUS-POLICIES - [0:0]
-A ARGUS-POLICIES -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A ARGUS-POLICIES -m addrtype --src-type LOCAL -j RETURN
-A ARGUS-POLICIES -s 192.0.2.12 -j RETURN
-A ARGUS-POLICIES -s 192.0.2.21 -j RETURN
-A ARGUS-POLICIES -s 10.244.1.0/24 -j NFQUEUE --queue-num 7
-A ARGUS-POLICIES -d 10.244.1.0/24 -j NFQUEUE --queue-num 7
COMMIT
`
	for _, nodes := range [][]*v1.Node{{named, own, greedy}, {greedy, named, own}} {
		if got, err := rules(nodes, "cp1", podNetwork, 7); err != nil || got != want {
			t.Errorf("%v\n%s", err, got)
		}
	}
}

func TestAMachineWithoutAPodNetworkHasNoRulesYet(t *testing.T) {
	for _, nodes := range [][]*v1.Node{nil, {node("cp2", "10.244.2.0/24")}, {node("cp1", "", "192.0.2.11")}} {
		if got, err := rules(nodes, "cp1", podNetwork, 7); err == nil || !strings.Contains(err.Error(), "cp1") {
			t.Errorf("%v: %q", err, got)
		}
	}
}

// A kernel that keeps in a folder whether there is the chain, with its rules, and which hooks lead to it.
const fakeIptables = `#!/bin/sh
cd "$KERNEL" && shift 3
case $1 in
--check) test -e "$2" ;;
--append) test ! -e "$2" && test -e rules && : >"$2" ;;
--delete) rm "$2" ;;
--list-rules | --flush) test -e rules ;;
--delete-chain) test ! -e INPUT && test ! -e POSTROUTING && rm rules ;;
*) exit 2 ;;
esac
`

// machine is a keeper of a machine whose rules are wanted, and the folder of its kernel.
func machine(t *testing.T) (*keeper, string) {
	programs, kernel, folder := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("KERNEL", kernel)
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	for name, text := range map[string]string{
		"iptables":         fakeIptables,
		"iptables-restore": "#!/bin/sh\ncat >\"$KERNEL/rules\"\n",
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	if err := nodes.Add(node("cp1", "10.244.1.0/24", "192.0.2.11")); err != nil {
		t.Fatal(err)
	}
	made := &keeper{folder: folder, node: "cp1", pods: podNetwork, queue: 7, nodes: corelisters.NewNodeLister(nodes)}
	want(t, made)
	return made, kernel
}

func want(t *testing.T, of *keeper) {
	if err := os.WriteFile(filepath.Join(of.folder, "wanted"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, folder string) string {
	found, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, each := range found {
		names = append(names, each.Name())
	}
	return strings.Join(names, " ")
}

func TestRulesAreInTheKernelAndInTheFileForTheNextStart(t *testing.T) {
	keeper, kernel := machine(t)
	// The second time finds everything there.
	for range 2 {
		if err := keeper.keep(); err != nil {
			t.Fatal(err)
		}
		inKernel, err := os.ReadFile(filepath.Join(kernel, "rules"))
		kept, err2 := os.ReadFile(keeper.file())
		if err != nil || err2 != nil || string(inKernel) != string(kept) || !strings.Contains(string(kept), "10.244.1.0/24") {
			t.Errorf("%v %v\n%s\n%s", err, err2, inKernel, kept)
		}
		if got := names(t, kernel); got != "INPUT POSTROUTING rules" {
			t.Error(got)
		}
		if got := names(t, keeper.folder); got != "rules wanted" {
			t.Error(got)
		}
	}
}

func TestAHookThatSomethingElseTookOutComesBack(t *testing.T) {
	keeper, kernel := machine(t)
	if err := keeper.keep(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(kernel, "INPUT")); err != nil {
		t.Fatal(err)
	}
	if err := keeper.keep(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, kernel); got != "INPUT POSTROUTING rules" {
		t.Error(got)
	}
}

func TestRulesThatAreNotWantedGoAndStayAway(t *testing.T) {
	keeper, kernel := machine(t)
	if err := keeper.keep(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(keeper.folder, "wanted")); err != nil {
		t.Fatal(err)
	}
	if !keeper.unwanted() {
		t.Error("they are still wanted")
	}
	for range 2 {
		if err := keeper.keep(); err == nil {
			t.Error("rules are said to be kept")
		}
		if got := names(t, kernel) + names(t, keeper.folder); got != "" {
			t.Error(got)
		}
	}
	want(t, keeper)
	if err := keeper.keep(); err != nil || keeper.unwanted() {
		t.Error(err)
	}
}

func TestWhatCannotBeLookedAtIsNotUnwanted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if (&keeper{folder: file}).unwanted() {
		t.Error("rules would go because a folder cannot be read")
	}
}

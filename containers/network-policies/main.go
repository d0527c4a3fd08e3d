// Enforces NetworkPolicies on one machine beside Argus's own pod network, which has no daemon otherwise.
//
// Rules of iptables hand the first packet of each connection from and to a pod of this machine to a queue, and
// sigs.k8s.io/kube-network-policies takes it from there and says whether it passes, from what the API servers know of
// pods, namespaces and policies. This program adds the rules, and refuses what nobody knows yet (known.go).
// docs/adr/0046-network-policies-enforced.md has the reasons.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

const (
	// The rules are looked at this often, in case that something else took them out.
	everySeconds = 30
	// How long a program that is told to end asks whether it ends for good; the pod's grace period is longer.
	askSeconds = 10
)

type options struct {
	kubeconfig, node, pods, folder, health, daemonSet string
	queue                                             int
}

func main() {
	klog.InitFlags(nil)
	var given options
	flag.StringVar(&given.kubeconfig, "kubeconfig", "", "The API servers; unset: those of the pod's own cluster.")
	flag.StringVar(&given.node, "node", "", "The name of this machine's node.")
	flag.StringVar(&given.pods, "pods", "", "The addresses of all pods of the cluster, as a CIDR.")
	flag.StringVar(&given.folder, "folder", "", "Where the rules are kept for the next start of the machine.")
	flag.StringVar(&given.health, "health", "127.0.0.1:10246", "Where /healthz is answered.")
	flag.StringVar(&given.daemonSet, "daemonset", "", "NAMESPACE/NAME of what starts this program; where it is gone, "+
		"the rules go with it.")
	flag.IntVar(&given.queue, "queue", 7100, "The number of the queue.")
	flag.Parse()
	if err := run(given); err != nil {
		klog.Fatal(err)
	}
}

func run(given options) error {
	pods, err := netip.ParsePrefix(given.pods)
	if err != nil {
		return fmt.Errorf("-pods: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", given.kubeconfig)
	if err != nil {
		return err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The queue is served until the rules are as they are to stay.
	ctx, end := context.WithCancel(context.Background())
	defer end()

	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	judge, err := networkpolicy.NewController(
		client,
		knownPolicies{factory.Networking().V1().NetworkPolicies()},
		factory.Core().V1().Namespaces(),
		knownPods{factory.Core().V1().Pods(), pods},
		nil, nil, nil, nil,
		networkpolicy.Config{
			QueueID: given.queue,
			// Its own rules, of nftables, are for pods of this node: none. On a kernel that has nftables' queue they
			// would bring packets a second time, and judge what comes from machines.
			NodeName: noName,
			// Its table, which is empty but for that.
			NFTableName: "argus-network-policies",
		},
	)
	if err != nil {
		return err
	}
	keeper := &keeper{folder: given.folder, node: given.node, pods: pods, queue: given.queue, nodes: nodes.Lister()}
	changed := make(chan struct{}, 1)
	nudge := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { nudge() },
		UpdateFunc: func(any, any) { nudge() },
		DeleteFunc: func(any) { nudge() },
	}); err != nil {
		return err
	}

	var kept atomic.Bool
	go answerHealth(given, &kept)
	factory.Start(ctx.Done())
	ended := make(chan error, 1)
	go func() { ended <- judge.Run(ctx) }()
	if !cache.WaitForCacheSync(told.Done(), nodes.Informer().HasSynced) {
		return nil
	}
	every := time.NewTicker(everySeconds * time.Second)
	defer every.Stop()
	soon := time.NewTicker(time.Second)
	defer soon.Stop()
	for {
		// No rule may bring a packet before somebody takes it.
		if queueServed(given.queue) {
			if err := keeper.keep(); err != nil {
				klog.Errorf("the rules are not kept: %v", err)
				kept.Store(false)
			} else {
				kept.Store(true)
			}
		}
		var again <-chan time.Time
		if !kept.Load() {
			again = soon.C
		}
		select {
		case <-changed:
		case <-every.C:
		case <-again:
		case err := <-ended:
			return fmt.Errorf("nothing takes packets from the queue any more: %w", err)
		case <-told.Done():
			if keeper.unwanted() || gone(client, given.daemonSet) {
				klog.Info("policies are not enforced here any more: the rules go")
				err = keeper.remove()
			} else {
				klog.Info("the rules stay: new connections wait for the next program")
			}
			end()
			// The library takes its table out.
			<-ended
			return err
		}
	}
}

// gone is whether the DaemonSet is deleted, and so its rights. What cannot be asked is not.
func gone(client kubernetes.Interface, daemonSet string) bool {
	namespace, name, named := strings.Cut(daemonSet, "/")
	if !named {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askSeconds*time.Second)
	defer cancel()
	for {
		found, err := client.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case err == nil:
			return found.DeletionTimestamp != nil
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			return true
		}
		klog.Errorf("whether %s is deleted cannot be asked: %v", daemonSet, err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
}

func answerHealth(given options, kept *atomic.Bool) {
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) {
		if !kept.Load() || !queueServed(given.queue) {
			http.Error(answer, "policies are not enforced", http.StatusServiceUnavailable)
		}
	})
	klog.Fatal(http.ListenAndServe(given.health, nil))
}

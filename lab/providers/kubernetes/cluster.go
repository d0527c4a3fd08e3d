package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// How long to be patient with a cluster that is still coming up.
const (
	patience       = 3 * time.Minute
	deletePatience = 20 * time.Second
	retryInterval  = 2 * time.Second
	requestTimeout = 30 * time.Second
)

// cluster is a way to any object of one cluster.
type cluster struct {
	dynamic   dynamic.Interface
	discovery discovery.CachedDiscoveryInterface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
	namespace string

	reset     sync.Mutex
	lastReset time.Time
}

// newCluster prepares the clients; it does not contact the cluster.
func newCluster(config *rest.Config, namespace string) (*cluster, error) {
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	asking := rest.CopyConfig(config)
	asking.Timeout = requestTimeout
	plain, err := discovery.NewDiscoveryClientForConfig(asking)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes discovery client: %w", err)
	}
	cached := memory.NewMemCacheClient(plain)
	if namespace == "" {
		namespace = "default"
	}
	return &cluster{
		dynamic: objects, discovery: cached, mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
		namespace: namespace,
	}, nil
}

// objects returns the client for the kind in the namespace; a namespaced object without one lives in the provider's.
// The kind may have been added to the API a moment ago: what was discovered is then asked for again.
func (c *cluster) objects(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		if meta.IsNoMatchError(err) || discovery.IsGroupDiscoveryFailedError(err) {
			c.rediscover()
			mapping, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		}
		if err != nil {
			return nil, err
		}
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.dynamic.Resource(mapping.Resource), nil
	}
	if namespace == "" {
		namespace = c.namespace
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(namespace), nil
}

// rediscover forgets what the cluster serves, at most once an interval however many resources ask for it.
func (c *cluster) rediscover() {
	c.reset.Lock()
	defer c.reset.Unlock()
	if time.Since(c.lastReset) >= retryInterval {
		c.mapper.Reset()
		c.lastReset = time.Now()
	}
}

// patiently repeats the work while the cluster is not ready for it, and says what it waits for.
func patiently[T any](
	ctx context.Context, limit time.Duration, say func(string), work func() (T, error),
) (T, error) {
	deadline := time.Now().Add(limit)
	for {
		result, err := work()
		if err == nil || !transient(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return result, err
		}
		say("Waiting for the cluster: " + err.Error())
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(retryInterval):
		}
	}
}

// transient says whether the error may go away by itself while a cluster comes up or an object makes room.
func transient(err error) bool {
	switch {
	case unreachable(err), meta.IsNoMatchError(err), discovery.IsGroupDiscoveryFailedError(err):
		return true
	case apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err),
		apierrors.IsTimeout(err):
		return true
	case apierrors.IsInternalError(err):
		return strings.Contains(err.Error(), "failed calling webhook") || strings.Contains(err.Error(), "etcdserver")
	case apierrors.IsForbidden(err):
		return apierrors.HasStatusCause(err, "NamespaceTerminating") ||
			strings.Contains(err.Error(), "error looking up service account") ||
			strings.Contains(err.Error(), "not yet ready to handle request")
	}
	return false
}

// unreachable says whether the request never reached the cluster. An untrusted certificate and a cancelled request do not
// count.
func unreachable(err error) bool {
	var answer apierrors.APIStatus
	if err == nil || errors.As(err, &answer) || errors.Is(err, context.Canceled) {
		return false
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return false
	}
	var request *url.Error
	var network net.Error
	return errors.As(err, &request) || errors.As(err, &network) || utilnet.IsConnectionRefused(err) ||
		utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err)
}

// get reads one live object, or returns nil where there is none.
func (c *cluster) get(
	ctx context.Context, gvk schema.GroupVersionKind, namespace, name string,
) (*unstructured.Unstructured, error) {
	objects, err := c.objects(gvk, namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	live, err := objects.Get(ctx, name, getOptions)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

package k8smeta

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/elastic/beats/v7/libbeat/logp"

	"github.com/tallylog/tally/processors/k8smeta/pods"
)

// connect makes a client of the file, or of the service account where the file is "" and this process runs in a pod; nil where
// there is neither.
func connect(file string) (kubernetes.Interface, error) {
	var c *rest.Config
	var err error
	if file != "" {
		if c, err = clientcmd.BuildConfigFromFlags("", file); err != nil {
			return nil, fmt.Errorf("cannot use the kubeconfig %q: %w", file, err)
		}
	} else if c, err = rest.InClusterConfig(); err == rest.ErrNotInCluster {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("cannot use the pod's service account: %w", err)
	}
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	c.UserAgent = "tallybeat"
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return client, nil
}

// follower follows the pods of a node and puts them into a Store. It is the store of client-go's reflector, so that no pod is kept
// twice: an informer would keep each whole.
type follower struct {
	client      kubernetes.Interface
	node        string
	store       *pods.Store
	annotations func() map[string]bool
	log         *logp.Logger

	down atomic.Bool // the API server could not be reached, and it was said
}

var _ cache.ReflectorStore = (*follower)(nil)

const (
	firstPause = time.Second
	maxPause   = 15 * time.Second
)

// follow lists and watches until ctx ends, and begins again whatever happens.
func (f *follower) follow(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		r := cache.NewReflectorWithOptions(f.source(), &v1.Pod{}, f, cache.ReflectorOptions{Name: "k8smeta"})
		if err := r.ListAndWatch(ctx.Done()); err != nil && ctx.Err() == nil {
			f.lost(err)
		}
		if time.Since(began) > maxPause {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// source lists and watches the pods of the node, and notes whether that works.
func (f *follower) source() cache.ListerWatcher {
	selector := fields.OneTermEqualSelector("spec.nodeName", f.node).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			list, err := f.client.CoreV1().Pods("").List(ctx, o)
			if err != nil {
				f.lost(err)
				return nil, err
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			w, err := f.client.CoreV1().Pods("").Watch(ctx, o)
			if err != nil {
				f.lost(err)
				return nil, err
			}
			f.found()
			return w, nil
		},
	}
}

// lost and found note whether the API server answers; each change is said once.
func (f *follower) lost(err error) {
	f.store.Connected(false)
	if f.down.CompareAndSwap(false, true) {
		f.log.Warnf("The pods of node %q cannot be watched; those that are known keep their metadata, new ones get what names tell: %v", f.node, err)
	}
}

func (f *follower) found() {
	f.store.Connected(true)
	if f.down.CompareAndSwap(true, false) {
		f.log.Infof("The pods of node %q are watched again", f.node)
	}
}

// Add implements cache.ReflectorStore.
func (f *follower) Add(obj any) error {
	p, ok := obj.(*v1.Pod)
	if !ok {
		return fmt.Errorf("cannot keep a %T as a pod", obj)
	}
	f.store.Put(convert(p, f.annotations()))
	return nil
}

// Update implements cache.ReflectorStore.
func (f *follower) Update(obj any) error { return f.Add(obj) }

// Delete implements cache.ReflectorStore.
func (f *follower) Delete(obj any) error {
	p, ok := obj.(*v1.Pod)
	if !ok {
		return fmt.Errorf("cannot delete a %T as a pod", obj)
	}
	f.store.Put(convert(p, f.annotations())) // its last state
	f.store.Delete(string(p.UID))
	return nil
}

// Replace implements cache.ReflectorStore.
func (f *follower) Replace(list []any, _ string) error {
	all := make([]*pods.Pod, 0, len(list))
	for _, obj := range list {
		if p, ok := obj.(*v1.Pod); ok {
			all = append(all, convert(p, f.annotations()))
		}
	}
	if len(all) == 0 {
		f.log.Warnf("The API server has no pod of node %q; where that is not the node's name, set k8smeta's node, or NODE_NAME from spec.nodeName", f.node)
	}
	f.store.Replace(all)
	f.found()
	return nil
}

// Resync implements cache.ReflectorStore.
func (f *follower) Resync() error { return nil }

// Package seal encrypts objects with data keys that lie in the bucket too, wrapped by
// a key that does not. It must never put a key or a part of one into a text.
package seal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/streamingaead/aesgcmhkdf"
	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// magic begins every sealed object; the id of its data key follows, in four bytes.
// No tar begins so, nor a text.
const magic = "\x00headrace-sealed\x01"

const headerSize = len(magic) + 4

const (
	keySize = 32
	// segmentSize is smaller than tink's usual 1 MiB: a stream holds two of them, and
	// most objects are short logs.
	segmentSize = 64 << 10
)

// IsSealed tells whether an object that begins so is sealed.
func IsSealed(begin []byte) bool { return bytes.HasPrefix(begin, []byte(magic)) }

// Keys seal and unseal objects. All methods may be called concurrently.
type Keys struct {
	// ring is nil if the keys are a file.
	ring    *Ring
	mu      sync.Mutex
	current *generation
}

var _ blob.Sealer = (*Keys)(nil)

// generation is the data keys as one object of the bucket holds them.
type generation struct {
	number  int
	handle  *keyset.Handle
	primary uint32
	keys    map[uint32]*subtle.AESGCMHKDF
}

// Seal implements blob.Sealer.
func (k *Keys) Seal(name string, to io.Writer) (io.WriteCloser, error) {
	k.mu.Lock()
	current := k.current
	k.mu.Unlock()
	if _, err := to.Write(binary.BigEndian.AppendUint32([]byte(magic), current.primary)); err != nil {
		return nil, err
	}
	return current.keys[current.primary].NewEncryptingWriter(to, []byte(name))
}

// Unseal implements blob.Sealer.
func (k *Keys) Unseal(ctx context.Context, name string, from io.Reader) (io.Reader, error) {
	header := make([]byte, headerSize)
	n, err := io.ReadFull(from, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if n < headerSize || !IsSealed(header) {
		return io.MultiReader(bytes.NewReader(header[:n]), from), nil
	}
	id := binary.BigEndian.Uint32(header[len(magic):])
	key, err := k.key(ctx, id)
	if err != nil {
		return nil, err
	}
	source := &source{from: from}
	plain, err := key.NewDecryptingReader(source, []byte(name))
	if err != nil {
		if source.err != nil {
			return nil, source.err
		}
		// Its begin is cut off.
		return nil, blob.ErrDamaged
	}
	return &reader{plain: plain, source: source}, nil
}

// Check returns an error where the bucket has no data keys any more: what is sealed then
// can be read as long as this process lives.
func (k *Keys) Check(ctx context.Context) error {
	there, err := Exists(ctx, k.ring.objects)
	if err == nil && there {
		return nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the data keys are not in %s/ any more: this server still has them and goes on, but after its end nobody can read "+
			"what they encrypt: put %s/ back from the backup before it is stopped", Part, Part)
	}
	return fmt.Errorf("look for the data keys in %s/: %w", Part, err)
}

// key returns a data key. One that is not known may be newer than what was read last.
func (k *Keys) key(ctx context.Context, id uint32) (*subtle.AESGCMHKDF, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.current.keys[id]; key != nil {
		return key, nil
	}
	if k.ring == nil {
		return nil, fmt.Errorf("it was sealed with another key file: %w", blob.ErrDamaged)
	}
	newest, err := k.ring.newest(ctx)
	if err != nil {
		return nil, err
	}
	// Generations only add keys.
	if newest.keys[k.current.primary] == nil {
		return nil, fmt.Errorf("the data keys in %s/%s lack one that this server encrypts with: somebody put older ones there; "+
			"put %s/%s back from the backup", Part, objectName(newest.number), Part, objectName(k.current.number))
	}
	k.current = newest
	if key := newest.keys[id]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("it was sealed with the data key %d, which %s/ does not hold (any more): %w", id, Part, blob.ErrDamaged)
}

// source remembers whether reading failed, which is no damage.
type source struct {
	from io.Reader
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) judge(err error) error {
	switch {
	case s.err != nil:
		return s.err
	case err == nil || errors.Is(err, io.EOF):
		return err
	}
	return blob.ErrDamaged
}

type reader struct {
	plain  io.Reader
	source *source
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.plain.Read(p)
	return n, r.source.judge(err)
}

// newGeneration takes the keys of a handle for use.
func newGeneration(number int, handle *keyset.Handle) (*generation, error) {
	g := &generation{number: number, handle: handle, keys: make(map[uint32]*subtle.AESGCMHKDF)}
	primary, err := handle.Primary()
	if err != nil {
		return nil, err
	}
	g.primary = primary.KeyID()
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		key, ok := entry.Key().(*aesgcmhkdf.Key)
		if !ok {
			return nil, fmt.Errorf("the data key %d is of another kind; a newer headraced made it", entry.KeyID())
		}
		parameters, ok := key.Parameters().(*aesgcmhkdf.Parameters)
		if !ok {
			return nil, fmt.Errorf("the data key %d is of another kind; a newer headraced made it", entry.KeyID())
		}
		// Not by tink's wrapper of all keys: it tries one after the other, and takes an
		// empty object for one of a wrong key.
		g.keys[entry.KeyID()], err = subtle.NewAESGCMHKDF(key.KeyBytes().Data(insecuresecretdataaccess.Token{}),
			parameters.HKDFHashType().String(), parameters.DerivedKeySizeInBytes(), int(parameters.SegmentSizeInBytes()), 0)
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

// withNewKey returns the keys of a handle, nil for none, and one more, which is used
// from then on.
func withNewKey(handle *keyset.Handle) (*keyset.Handle, error) {
	parameters, err := aesgcmhkdf.NewParameters(aesgcmhkdf.ParametersOpts{
		KeySizeInBytes: keySize, DerivedKeySizeInBytes: keySize, HKDFHashType: aesgcmhkdf.SHA256, SegmentSizeInBytes: segmentSize,
	})
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManager()
	if handle != nil {
		manager = keyset.NewManagerFromHandle(handle)
	}
	id, err := manager.AddNewKeyFromParameters(parameters)
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, err
	}
	return manager.Handle()
}

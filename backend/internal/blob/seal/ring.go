package seal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"gocloud.dev/secrets"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// Part is the part of a bucket where the wrapped data keys are.
const Part = "keys"

// Ring is the data keys in a bucket. Every change of them is a new object, named by
// the next number, which only one can make; the older ones then go.
type Ring struct {
	objects *blob.Store
	wrap    *secrets.Keeper
}

// NewRing returns the ring that a part of a bucket holds, which is itself not sealed,
// and whose keys are wrapped by a key.
func NewRing(objects *blob.Store, wrap *secrets.Keeper) *Ring {
	return &Ring{objects: objects, wrap: wrap}
}

// Exists tells whether a part of a bucket holds data keys, so that it has sealed
// objects.
func Exists(ctx context.Context, objects *blob.Store) (bool, error) {
	name, err := newestName(ctx, objects)
	return name != "", err
}

// Open unwraps the data keys, and makes the first where there is none. Several that
// open at once agree on one. It refuses to make it where one of the first objects of
// the parts, which are given as they are stored, is sealed: the keys were lost, and
// what a new one seals would be lost when they are put back.
func (r *Ring) Open(ctx context.Context, parts ...*blob.Store) (*Keys, error) {
	current, err := r.newest(ctx)
	if errors.Is(err, blob.ErrNotFound) {
		if current, err = r.ifNotLost(ctx, parts); current == nil && err == nil {
			current, err = r.first(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Keys{ring: r, current: current}, nil
}

// ifNotLost returns an error where the data keys were lost, by one of the first objects of
// the parts, and what somebody else made meanwhile; nil where there never were any.
func (r *Ring) ifNotLost(ctx context.Context, parts []*blob.Store) (*generation, error) {
	for _, part := range parts {
		name, err := sealedIn(ctx, part)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		// Somebody who starts just now may have made the first, and sealed with it.
		current, err := r.newest(ctx)
		if errors.Is(err, blob.ErrNotFound) {
			return nil, fmt.Errorf("objects are encrypted, such as %s, but the data keys that they were encrypted with are not in %s/: "+
				"put %s/ back from the backup; where there is none, remove the encrypted objects, which nobody can read", name, Part, Part)
		}
		return current, err
	}
	return nil, nil //nolint:nilnil // Nothing is lost.
}

func (r *Ring) first(ctx context.Context) (*generation, error) {
	handle, err := withNewKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make a data key: %w", err)
	}
	if err := r.write(ctx, 1, handle, r.wrap); err != nil && !errors.Is(err, blob.ErrExists) {
		return nil, err
	}
	// Also what was just written: where two wrote, one is there.
	return r.newest(ctx)
}

// existing reads the newest generation, which has to be there; the parts are those of Open.
func (r *Ring) existing(ctx context.Context, parts []*blob.Store) (*generation, error) {
	current, err := r.newest(ctx)
	if !errors.Is(err, blob.ErrNotFound) {
		return current, err
	}
	if current, err := r.ifNotLost(ctx, parts); current != nil || err != nil {
		return current, err
	}
	return nil, fmt.Errorf("there are no data keys in %s/, and nothing is encrypted: the first start of a server with storage-key makes them", Part)
}

// Rotate adds a data key, with which objects are sealed from then on. Servers use it
// from their next start. The parts are those of Open.
func (r *Ring) Rotate(ctx context.Context, parts ...*blob.Store) error {
	current, err := r.existing(ctx, parts)
	if err != nil {
		return err
	}
	handle, err := withNewKey(current.handle)
	if err != nil {
		return fmt.Errorf("make a data key: %w", err)
	}
	return r.replace(ctx, current, handle, r.wrap)
}

// Rewrap wraps the data keys by another key, which they then need. The parts are those of
// Open.
func (r *Ring) Rewrap(ctx context.Context, by *secrets.Keeper, parts ...*blob.Store) error {
	current, err := r.existing(ctx, parts)
	if err != nil {
		return err
	}
	return r.replace(ctx, current, current.handle, by)
}

// replace writes the next generation, and removes the others when it can be read.
func (r *Ring) replace(ctx context.Context, current *generation, handle *keyset.Handle, by *secrets.Keeper) error {
	err := r.write(ctx, current.number+1, handle, by)
	if errors.Is(err, blob.ErrExists) {
		return errors.New("the data keys were changed by somebody else just now; try again")
	}
	if err != nil {
		return err
	}
	if _, err := NewRing(r.objects, by).newest(ctx); err != nil {
		return fmt.Errorf("the data keys of before stay, since those in their place cannot be read: "+
			"where the new key cannot unwrap them, remove %s/%s and go on with the old key: %w", Part, objectName(current.number+1), err)
	}
	for object, err := range r.objects.List(ctx, "") {
		if err != nil {
			return err
		}
		if number, ok := parseName(object.Name); ok && number <= current.number {
			if err := r.objects.Delete(ctx, object.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Ring) write(ctx context.Context, number int, handle *keyset.Handle, by *secrets.Keeper) error {
	var wrapped bytes.Buffer
	if err := handle.WriteWithContext(ctx, keyset.NewBinaryWriter(&wrapped), &wrapping{keeper: by, number: number}, nil); err != nil {
		return fmt.Errorf("wrap the data keys: %w", err)
	}
	return r.objects.PutNew(ctx, objectName(number), &wrapped)
}

// newest reads the newest generation; blob.ErrNotFound where there is none.
func (r *Ring) newest(ctx context.Context) (*generation, error) {
	for {
		name, err := newestName(ctx, r.objects)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return nil, fmt.Errorf("there are no data keys: %w", blob.ErrNotFound)
		}
		opened, err := r.objects.Open(ctx, name)
		if errors.Is(err, blob.ErrNotFound) {
			// A newer one took its place meanwhile.
			continue
		}
		if err != nil {
			return nil, err
		}
		wrapped, err := io.ReadAll(opened)
		if err := errors.Join(err, opened.Close()); err != nil {
			return nil, err
		}
		return r.unwrap(ctx, name, wrapped)
	}
}

func (r *Ring) unwrap(ctx context.Context, name string, wrapped []byte) (*generation, error) {
	number, _ := parseName(name)
	by := &wrapping{keeper: r.wrap, number: number}
	handle, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(wrapped)), by, nil)
	if by.refused != nil {
		return nil, fmt.Errorf("%s/%s: %w", Part, name, by.refused)
	}
	if err != nil {
		return nil, fmt.Errorf("the data keys in %s/%s cannot be unwrapped: this is another key than they were wrapped with, "+
			"or it cannot be used just now; give the right one as storage-key: %w", Part, name, err)
	}
	return newGeneration(number, handle)
}

func newestName(ctx context.Context, objects *blob.Store) (string, error) {
	newest := ""
	for object, err := range objects.List(ctx, "") {
		if err != nil {
			return "", err
		}
		if _, ok := parseName(object.Name); ok {
			newest = max(newest, object.Name)
		}
	}
	return newest, nil
}

// objectName and parseName keep the order of numbers in names.
func objectName(number int) string { return fmt.Sprintf("%010d", number) }

func parseName(name string) (int, bool) {
	number, err := strconv.Atoi(name)
	return number, err == nil && name == objectName(number)
}

// numbered begins what is wrapped; the number of the generation follows, in eight bytes,
// so that an older generation cannot be put instead of a newer one.
const numbered = "headrace-keys\x01"

// wrapping is a key of gocloud.dev as tink asks for one, for a generation.
type wrapping struct {
	keeper *secrets.Keeper
	number int
	// refused is why what was unwrapped is not of the generation: tink loses it.
	refused error
}

func (w *wrapping) header() []byte {
	return binary.BigEndian.AppendUint64([]byte(numbered), uint64(w.number))
}

// EncryptWithContext implements tink.AEADWithContext. Keepers know no associated data,
// and none is given: the number is within what they encrypt.
func (w *wrapping) EncryptWithContext(ctx context.Context, plain, _ []byte) ([]byte, error) {
	return w.keeper.Encrypt(ctx, append(w.header(), plain...))
}

// DecryptWithContext implements tink.AEADWithContext.
func (w *wrapping) DecryptWithContext(ctx context.Context, wrapped, _ []byte) ([]byte, error) {
	plain, err := w.keeper.Decrypt(ctx, wrapped)
	if err != nil {
		return nil, err
	}
	header := w.header()
	if keys, ok := bytes.CutPrefix(plain, header); ok {
		return keys, nil
	}
	if len(plain) >= len(header) && bytes.HasPrefix(plain, []byte(numbered)) {
		w.refused = fmt.Errorf("it holds the data keys that were written as %s/%s: somebody put it in this place; remove it",
			Part, objectName(int(binary.BigEndian.Uint64(plain[len(numbered):]))))
	} else {
		w.refused = errors.New("an unreleased headraced wrapped these data keys without their number: " +
			"begin with an empty storage, or go on with that headraced")
	}
	return nil, w.refused
}

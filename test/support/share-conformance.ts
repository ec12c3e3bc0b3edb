/**
 * A program for the Python of a guest, run in an empty folder of a share: what Linux promises of a file system, case by
 * case, then random work against a model in the manner of fsx and fsstress. Prints `ok NAME` or `FAILED NAME: why` for
 * each case; ends with 1 when one failed. Its one argument is the seed.
 */
export const SHARE_CONFORMANCE = String.raw`
import errno, fcntl, mmap, os, random, stat, sys

seed = int(sys.argv[1])

def refused(code, call, *args, **named):
    try:
        call(*args, **named)
    except OSError as error:
        assert error.errno == code, (errno.errorcode[code], error)
        return
    raise AssertionError('expected ' + errno.errorcode[code])

def put(name, data=b'words'):
    with open(name, 'wb') as file:
        file.write(data)

def get(name):
    with open(name, 'rb') as file:
        return file.read()

def unlinked_while_open():
    put('f')
    fd = os.open('f', os.O_RDWR)
    os.unlink('f')
    refused(errno.ENOENT, os.stat, 'f')
    put('f', b'another')
    assert os.pread(fd, 9, 0) == b'words'
    os.pwrite(fd, b'still', 5)
    os.ftruncate(fd, 8)
    assert os.fstat(fd).st_size == 8 and os.fstat(fd).st_nlink == 0
    assert os.pread(fd, 99, 0) == b'wordssti'
    os.close(fd)
    assert get('f') == b'another'

def renamed_over_open():
    put('a', b'new')
    put('b', b'old')
    fd = os.open('b', os.O_RDONLY)
    os.rename('a', 'b')
    assert os.read(fd, 9) == b'old' and get('b') == b'new'
    refused(errno.ENOENT, os.stat, 'a')
    os.close(fd)

def renamed_folders():
    os.makedirs('d/e')
    os.mkdir('empty')
    put('d/e/f')
    refused(errno.EINVAL, os.rename, 'd', 'd/e/d')
    refused(errno.ENOTEMPTY, os.rename, 'empty', 'd')
    refused(errno.ENOTEMPTY, os.rmdir, 'd')
    os.rename('d', 'empty')
    assert get('empty/e/f') == b'words'
    put('g')
    refused(errno.ENOTDIR, os.rename, 'empty', 'g')
    refused(errno.EISDIR, os.rename, 'g', 'empty')

def listed_while_deleted():
    for number in range(200):
        put('%03d' % number, b'')
    with os.scandir('.') as entries:
        for entry in entries:
            os.unlink(entry.name)
    assert os.listdir('.') == []

def mapped():
    put('f', bytes(10000))
    with open('f', 'r+b') as file:
        with mmap.mmap(file.fileno(), 0) as pages:
            pages[5000:5005] = b'words'
            pages.flush()
            assert pages[5000:5005] == b'words'
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as pages:
            pages[0:5] = b'apart'
    assert get('f') == bytes(5000) + b'words' + bytes(4995)

def extended_attributes():
    put('f')
    os.setxattr('f', 'user.a', b'1')
    os.setxattr('f', 'user.b', bytes(range(256)) * 15)
    os.setxattr('f', 'user.empty', b'')
    refused(errno.EEXIST, os.setxattr, 'f', 'user.a', b'2', os.XATTR_CREATE)
    refused(errno.ENODATA, os.setxattr, 'f', 'user.c', b'2', os.XATTR_REPLACE)
    os.setxattr('f', 'user.a', b'22', os.XATTR_REPLACE)
    assert os.getxattr('f', 'user.a') == b'22' and os.getxattr('f', 'user.empty') == b''
    assert os.getxattr('f', 'user.b') == bytes(range(256)) * 15
    assert sorted(os.listxattr('f')) == ['user.a', 'user.b', 'user.empty']
    os.removexattr('f', 'user.a')
    refused(errno.ENODATA, os.getxattr, 'f', 'user.a')

def names():
    odd = [b'n' * 255, b'\xff\xfe\x80', b'a\nb', b' ', b'-rf', b'...', b'\xc3\xa9', b'e\xcc\x81', b'Case', b'case', b'a\\b:c*']
    for name in odd:
        put(name, name)
    assert sorted(os.listdir(b'.')) == sorted(odd)
    for name in odd:
        assert get(name) == name
    refused(errno.ENAMETOOLONG, put, b'n' * 256)
    os.makedirs('/'.join(['deep'] * 40))
    assert os.path.isdir('/'.join(['deep'] * 40))

def holes_and_far_offsets():
    with open('f', 'wb') as file:
        file.seek(1 << 20)
        file.write(b'end')
    assert get('f') == bytes(1 << 20) + b'end'
    fd = os.open('far', os.O_RDWR | os.O_CREAT)
    far = (1 << 32) + 5
    os.pwrite(fd, b'far', far)
    assert os.fstat(fd).st_size == far + 3 and os.pread(fd, 9, far - 2) == b'\0\0far'
    os.ftruncate(fd, (1 << 32) + 6)
    os.ftruncate(fd, (1 << 32) + 9)
    assert os.pread(fd, 99, far) == b'f\0\0\0'
    os.ftruncate(fd, 3)
    os.ftruncate(fd, (1 << 40) + 1)
    assert os.pread(fd, 9, far) == bytes(9) and os.fstat(fd).st_size == (1 << 40) + 1
    os.close(fd)

def links():
    put('f')
    os.link('f', 'g')
    assert os.stat('f').st_nlink == 2 and os.path.samefile('f', 'g')
    put('g', b'both')
    os.unlink('f')
    assert get('g') == b'both' and os.stat('g').st_nlink == 1
    for target in ['g', 'nowhere', '/etc/passwd', '../..', 'x' * 1000]:
        os.symlink(target, 'l')
        assert os.readlink('l') == target and stat.S_ISLNK(os.lstat('l').st_mode)
        os.unlink('l')
    os.symlink('loop', 'loop')
    refused(errno.ELOOP, os.stat, 'loop')
    os.mkdir('d')
    refused(errno.EPERM, os.link, 'd', 'e')

def modes_and_times():
    put('f')
    os.chmod('f', 0o4751)
    os.chown('f', 1234, 4321)
    os.chmod('f', 0o640)
    os.utime('f', (1000000000, 1234567890))
    found = os.stat('f')
    assert stat.S_IMODE(found.st_mode) == 0o640 and (found.st_uid, found.st_gid) == (1234, 4321)
    assert (int(found.st_atime), int(found.st_mtime)) == (1000000000, 1234567890)
    os.truncate('f', 1)
    assert os.stat('f').st_mtime > 1234567890

def special_files():
    os.mkfifo('p')
    os.mknod('null', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert stat.S_ISFIFO(os.stat('p').st_mode)
    assert os.stat('null').st_rdev == os.makedev(1, 3)
    child = os.fork()
    if child == 0:
        put('p', b'through')
        os._exit(0)
    assert get('p') == b'through'
    os.waitpid(child, 0)

def opened():
    os.close(os.open('f', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    refused(errno.EEXIST, os.open, 'f', os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    first, second = [os.open('f', os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for fd in [first, second, first]:
        os.write(fd, b'%d' % (fd == first))
    os.close(first)
    os.close(second)
    assert get('f') == b'101'
    os.close(os.open('f', os.O_WRONLY | os.O_TRUNC))
    assert get('f') == b''
    refused(errno.ENOTDIR, os.stat, 'f/g')
    refused(errno.EISDIR, os.open, '.', os.O_WRONLY)

def locked():
    put('f')
    file = open('f', 'r+b')
    fcntl.lockf(file, fcntl.LOCK_EX, 10, 5)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        other = open('f', 'r+b')
        fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 0)
        try:
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 14)
        except OSError:
            os.write(write, b'refused')
            fcntl.lockf(other, fcntl.LOCK_EX, 1, 14)
            os._exit(0 if get('f') == b'after' else 1)
        os._exit(2)
    assert os.read(read, 9) == b'refused'
    file.write(b'after')
    file.flush()
    fcntl.lockf(file, fcntl.LOCK_UN, 10, 5)
    assert os.waitpid(child, 0)[1] == 0

def random_content():
    random.seed(seed)
    most, model = 200000, bytearray()
    fd = os.open('f', os.O_RDWR | os.O_CREAT)
    for step in range(500):
        what, at = random.choice(['write', 'write', 'read', 'read', 'cut', 'grow', 'open', 'sync']), random.randrange(most)
        if what == 'write':
            data = random.randbytes(random.choice([1, 100, 4096, 16384, 40000]))
            at = min(at, len(model) + 20000)
            if len(model) < at:
                model.extend(bytes(at - len(model)))
            model[at:at + len(data)] = data
            assert os.pwrite(fd, data, at) == len(data)
        elif what == 'read':
            assert os.pread(fd, 30000, at) == model[at:at + 30000], ('step', step, 'at', at)
        elif what == 'cut' and len(model) > 0:
            del model[random.randrange(len(model)):]
            os.ftruncate(fd, len(model))
        elif what == 'grow':
            model.extend(bytes(random.randrange(20000)))
            os.ftruncate(fd, len(model))
        elif what == 'open':
            os.close(fd)
            fd = os.open('f', os.O_RDWR)
        elif what == 'sync':
            os.fsync(fd)
        assert os.fstat(fd).st_size == len(model), ('step', step, what)
    os.close(fd)
    assert get('f') == model

def random_trees():
    random.seed(seed)
    model = {}
    folders = lambda: ['.'] + [name for name in model if model[name] is None]
    inside = lambda name: [each for each in model if each.startswith(name + '/')]
    for step in range(250):
        what, name = random.choice(['put', 'put', 'mkdir', 'move', 'move', 'link', 'remove']), 'n%d' % random.randrange(25)
        to = os.path.normpath(random.choice(folders()) + '/' + name)
        of = random.choice(sorted(model)) if model else ''
        if what == 'put' and (to not in model or model[to] is not None):
            data = b'%d' % step
            if to in model:
                for each in [each for each in model if model[each] is model[to]]:
                    model[each][:] = data
            else:
                model[to] = bytearray(data)
            put(to, data)
        elif what == 'mkdir' and to not in model:
            model[to] = None
            os.mkdir(to)
        elif what == 'move' and of and to not in model and not (to + '/').startswith(of + '/'):
            os.rename(of, to)
            for each in [of] + inside(of):
                model[to + each[len(of):]] = model.pop(each)
        elif what == 'link' and of and model[of] is not None and to not in model:
            os.link(of, to)
            model[to] = model[of]
        elif what == 'remove' and of and not inside(of):
            (os.rmdir if model.pop(of) is None else os.unlink)(of)
    found = {}
    for folder, below, files in os.walk('.'):
        for each in below + files:
            name = os.path.normpath(folder + '/' + each)
            found[name] = None if each in below else get(name)
    assert found == model, (sorted(found.items()), sorted(model.items()))

failed = False
for case in [
    unlinked_while_open, renamed_over_open, renamed_folders, listed_while_deleted, mapped, extended_attributes, names,
    holes_and_far_offsets, links, modes_and_times, special_files, opened, locked, random_content, random_trees,
]:
    os.mkdir(case.__name__)
    os.chdir(case.__name__)
    try:
        case()
        print('ok', case.__name__)
    except (AssertionError, OSError) as error:
        failed = True
        print('FAILED', case.__name__ + ': line', error.__traceback__.tb_next.tb_lineno, repr(error)[:300])
    os.chdir('..')
sys.exit(failed)
`

/* The end of this process, and of the machine it runs. */
#ifndef VS_POWER_OFF_H
#define VS_POWER_OFF_H

_Noreturn void power_off(void);

#endif
